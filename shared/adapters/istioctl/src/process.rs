//! One run of the program: nothing of our environment, a deadline, and an end for everything it started.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Most that is read of an answer. 5,000 messages are 1.2 MB.
pub(crate) const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Kept of what it complains about; the rest is read and dropped.
const COMPLAINT_BYTES: usize = 64 * 1024;

/// Why there is no answer. The texts are read by people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// There is no program.
    #[error("there is no such program")]
    Missing,
    /// It could not be run, or what it wrote is no answer.
    #[error("{0}")]
    Because(String),
}

impl Unanswered {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }
}

/// What is run, and where.
pub(crate) struct Program<'a> {
    pub(crate) path: &'a Path,
    /// Its home, its working and its temporary folder.
    pub(crate) home: &'a Path,
    pub(crate) deadline: Duration,
}

/// A run that came to its end by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn succeeded(&self) -> Result<(), Unanswered> {
        if self.code == Some(0) { Ok(()) } else { Err(self.refusal()) }
    }

    /// What it said when it ended badly.
    pub(crate) fn refusal(&self) -> Unanswered {
        let code = self.code.map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"));
        match guard_http::clip(&self.stderr) {
            said if said.is_empty() => Unanswered::because(format!("istioctl ended {code}")),
            said => Unanswered::because(format!("istioctl ended {code}: {said}")),
        }
    }
}

impl Program<'_> {
    pub(crate) async fn run<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        words: I,
    ) -> Result<Ended, Unanswered> {
        let mut command = Command::new(self.path);
        command
            .args(words)
            // The function's own credentials are in its environment.
            .env_clear()
            .env("HOME", self.home)
            .env("TMPDIR", self.home)
            .current_dir(self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unanswered::Missing,
            _ => Unanswered::because(format!("{} cannot be started: {error}", self.path.display())),
        })?;
        // Ends with this call, however that ends: what istioctl left behind would go on reading with our token.
        let _group = Group::of(&child);
        match tokio::time::timeout(self.deadline, finish(&mut child)).await {
            Ok(ended) => ended,
            Err(_) => Err(Unanswered::because(format!(
                "istioctl had not ended after {} s and was killed; it waits for ever for what it may not read",
                self.deadline.as_secs_f32()
            ))),
        }
    }
}

async fn finish(child: &mut Child) -> Result<Ended, Unanswered> {
    let broken = |error: std::io::Error| Unanswered::because(format!("istioctl broke off: {error}"));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let mut read = Vec::new();
        if let Some(stdout) = stdout {
            // One more than is allowed tells that there is more.
            stdout.take(ANSWER_BYTES as u64 + 1).read_to_end(&mut read).await.map_err(broken)?;
        }
        if read.len() > ANSWER_BYTES {
            return Err(Unanswered::because(format!("istioctl wrote more than {ANSWER_BYTES} bytes")));
        }
        Ok(read)
    };
    let complaint = async {
        match stderr {
            Some(stderr) => head(stderr).await.map_err(broken),
            None => Ok(Vec::new()),
        }
    };
    let (stdout, stderr) = tokio::try_join!(answer, complaint)?;
    let status = child.wait().await.map_err(broken)?;
    Ok(Ended {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

/// The beginning of a stream that is read to its end, so that who writes it is never held up.
async fn head(mut from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 8192]);
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(kept);
        }
        let room = COMPLAINT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..read.min(room)]);
    }
}

/// A process and everything it started.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody left is the usual case, and an error here.
        self.0.map(|leader| kill_process_group(leader, Signal::KILL));
    }
}
