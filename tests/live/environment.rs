//! Which real systems there are.

/// The values of these variables; `None`, said aloud with the names of those that are missing, when one is.
pub(crate) fn wanted<const N: usize>(suite: &str, names: [&str; N]) -> Option<[String; N]> {
    if given("GUARD_LIVE").is_none_or(|value| value != "true") {
        say(&format!("skipped: {suite}: GUARD_LIVE is not `true`; `make live` sets it"));
        return None;
    }
    let values = names.map(|name| (name, given(name)));
    let missing: Vec<&str> =
        values.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        say(&format!("skipped: {suite}: not set: {}", missing.join(", ")));
        return None;
    }
    say(&format!("running: {suite}"));
    Some(values.map(|(_, value)| value.unwrap()))
}

/// A variable that may be missing.
pub(crate) fn given_or(name: &str, default: &str) -> String {
    given(name).unwrap_or_else(|| default.to_owned())
}

/// A variable; an empty one is an unset one.
#[expect(
    clippy::disallowed_methods,
    reason = "which real systems there are is not known when this is compiled"
)]
pub(crate) fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[expect(clippy::print_stderr, reason = "a suite that did nothing has to say so")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
