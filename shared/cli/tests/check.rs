//! `guard check` as a new user runs it: a kubeconfig, a cluster behind real sockets, nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::fs;
use std::path::PathBuf;

use guard_world::{Pace, Served, World, WorldSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

const CLUSTER: &str = "test-euw1-1";

struct Scene {
    world: World,
    served: Served,
    folder: PathBuf,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Exit code, standard output, standard error.
type Told = (i32, String, String);

impl Scene {
    async fn new(name: &str) -> Self {
        let world = World::new(WorldSpec::healthy(1, "1.29.8"));
        let served = guard_world::serve(world.clone(), Pace::ByHand).await.unwrap();
        let folder = std::env::temp_dir().join(format!("guard-check-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { world, served, folder }
    }

    fn kubeconfig(&self) -> Value {
        let url = &self.served.kubernetes_urls[CLUSTER];
        self.world.kubeconfig(CLUSTER, url, &json!({"token": self.world.token(CLUSTER)}))
    }

    async fn check(&self, kubeconfig: &Value, more: &[&str]) -> Told {
        let path = self.folder.join("kubeconfig");
        fs::write(&path, kubeconfig.to_string()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_guard"))
            .args(["check", "--target-version", "1.30.5", "--kubeconfig"])
            .arg(path)
            .args(more)
            .env_remove("HTTPS_PROXY")
            .output()
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_cluster_is_told_check_by_check() {
    let scene = Scene::new("healthy").await;
    let (code, out, err) = scene.check(&scene.kubeconfig(), &[]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("ok        Does the target support the cluster's Kubernetes?"), "{out}");
    assert!(
        out.contains(
            "not asked  Does EKS call the cluster ACTIVE? (it needs EKS's description of the cluster)"
        ),
        "{out}"
    );
    assert!(out.ends_with("Istio 1.29.8 to 1.30.5: nothing stands in the way\n"), "{out}");
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "no colours outside of a terminal");
    assert!(err.contains("looked at nodes"), "{err}");
    let asked = scene.world.requests();
    assert!(asked.len() > 10 && asked.iter().all(|one| one.method == "GET"), "it only reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocks_and_what_is_not_known_have_their_codes() {
    let scene = Scene::new("findings").await;
    scene.world.forbid(CLUSTER, "nodes");
    let (code, out, _) = scene.check(&scene.kubeconfig(), &["--json"]).await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["verdict"]), (6, &json!("unknown")));
    let of = |report: &Value, code: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|one| one["code"] == code).unwrap().clone()
    };
    let open = of(&report, "NODE_NOT_READY");
    assert_eq!(open["answer"], "unknown");
    assert!(open["why"].as_str().unwrap().contains("nodes is forbidden"), "{open}");
    assert_eq!(of(&report, "ISTIOD_NOT_READY")["answer"], "pass", "the others are asked all the same");
    assert_eq!(of(&report, "NO_BASELINE")["answer"], "not_asked");

    scene.world.show(CLUSTER, "poddisruptionbudgets", Vec::clear);
    scene.world.show(CLUSTER, "deployments", |all| all.retain(|one| one["metadata"]["name"] != "istiod"));
    let (code, out, _) = scene.check(&scene.kubeconfig(), &["--json"]).await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["verdict"]), (3, &json!("fail")), "a definite no goes before an open question");
    assert_eq!(of(&report, "ISTIOD_NOT_READY")["findings"][0]["code"], "ISTIOD_MISSING");

    let (code, out, _) = scene.check(&scene.kubeconfig(), &["--target-version", "1.31.1"]).await;
    assert_eq!(code, 2, "twice is wrong usage: {out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_no_upgrade_takes_blocks() {
    let scene = Scene::new("step").await;
    scene.world.show(CLUSTER, "pods", |pods| {
        for pod in pods.iter_mut().filter(|pod| pod["metadata"]["labels"]["app"] == "istiod") {
            pod["spec"]["containers"][0]["image"] = json!("docker.io/istio/pilot:1.28.3");
        }
    });
    let (code, out, _) = scene.check(&scene.kubeconfig(), &[]).await;
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("UPGRADE_PATH test-euw1-1: 1.30.5 is more than one minor above 1.28.3"), "{out}");
}

/// As `aws eks get-token` does, and what it says when it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exec_plug_in_gives_the_token() {
    let scene = Scene::new("exec").await;
    let exec = |script: &str, word: &str| {
        let mut kubeconfig = scene.kubeconfig();
        kubeconfig["users"][0]["user"] = json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "env": [{"name": "WORD", "value": word}], "interactiveMode": "Never"}});
        kubeconfig
    };
    let token = scene.world.token(CLUSTER).unwrap();
    let print = r#"printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$WORD""#;
    let (code, out, err) = scene.check(&exec(print, &token), &[]).await;
    assert_eq!(code, 0, "{out}{err}");

    let (code, out, err) = scene
        .check(&exec("echo hush-out; echo Unable to locate credentials >&2; exit 3", "hush-word"), &[])
        .await;
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.contains("sh: ended with exit status: 3: Unable to locate credentials"), "{err}");
    assert!(!err.contains("hush"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubeconfig_that_opens_nothing_says_why() {
    let scene = Scene::new("closed").await;
    let (code, _, err) = scene.check(&scene.kubeconfig(), &["--context", "nowhere"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("nowhere"), "{err}");

    let mut kubeconfig = scene.kubeconfig();
    kubeconfig["users"][0]["user"] = json!({"token": "hush-wrong"});
    let (code, out, err) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 6, "{out}");
    assert!(
        out.contains("status 401: Unauthorized") && !out.contains("hush") && !err.contains("hush"),
        "{out}"
    );

    // Nobody listens there.
    kubeconfig["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:9");
    let (code, out, _) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 6, "{out}");

    // Whoever answers there is somebody else.
    let mut kubeconfig = scene.kubeconfig();
    let mut other = WorldSpec::healthy(1, "1.29.8");
    other.seed += 1;
    let stranger = World::new(other).kubeconfig(CLUSTER, "https://127.0.0.1:9", &json!({}));
    kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] =
        stranger["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    let (code, out, _) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 6, "{out}");
}

/// The name in the certificate, where the address is another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_may_be_for_another_name() {
    let scene = Scene::new("name").await;
    let mut kubeconfig = scene.kubeconfig();
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = json!("somewhere.example");
    let (code, out, _) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 6, "{out}");
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = json!("127.0.0.1");
    let (code, out, err) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 0, "{out}{err}");
}

/// A proxy that passes on what it is asked for, and counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_gone_through() {
    let scene = Scene::new("proxy").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (count, mut counted) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut socket = BufReader::new(socket);
                let mut first = String::new();
                socket.read_line(&mut first).await.unwrap();
                let mut line = String::new();
                while socket.read_line(&mut line).await.unwrap() > 2 {
                    line.clear();
                }
                let target = first.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
                let mut beyond = TcpStream::connect(target).await.unwrap();
                count.send(target.to_owned()).unwrap();
                socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut socket, &mut beyond).await;
            });
        }
    });
    let mut kubeconfig = scene.kubeconfig();
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = json!(format!("http://{address}"));
    let (code, out, err) = scene.check(&kubeconfig, &[]).await;
    assert_eq!(code, 0, "{out}{err}");
    let url = &scene.served.kubernetes_urls[CLUSTER];
    assert_eq!(counted.recv().await.as_deref(), url.strip_prefix("https://"));
}
