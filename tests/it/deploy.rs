//! What is shipped beside the program is tried out: configs, manifests, the example application.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test helpers: a failure here is a failed test"
)]

use crate::running::{PROGRAM, Running, have, until};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn check(config: &Path) -> Output {
    let mut check = Command::new(PROGRAM);
    check.args(["check", "--level", "semantics", "-c"]).arg(config).output().unwrap()
}

#[test]
fn the_shipped_configs_are_right() {
    for name in ["deploy/veritail.toml", "deploy/kubernetes/veritail.toml"] {
        let config = shipped(name);
        let said = check(&config);
        assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));

        // And the check means something: a word that nobody knows is named.
        let dir = tempfile::tempdir().unwrap();
        let wrong = dir.path().join("wrong.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&wrong, text.replace("[redact]", "[redact]\nkontent = \"hash\"")).unwrap();
        let said = check(&wrong);
        assert_eq!(said.status.code(), Some(78), "{name}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("kontent"), "{name}");
    }
}

/// The configs that README shows, put together: a newcomer copies them.
#[test]
fn the_configs_in_the_readme_are_right() {
    let readme = std::fs::read_to_string(shipped("README.md")).unwrap();
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let config: String = blocks.collect();
    assert!(config.contains("[ledger]") && config.contains("[[redact.rule]]"), "{config}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readme.toml");
    std::fs::write(&file, config).unwrap();
    let said = check(&file);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// What the manifests must say; written in Python because that is where a YAML reader is at hand.
const MANIFESTS: &str = r#"
import sys, yaml
folder = sys.argv[1]
kustomization = yaml.safe_load(open(f"{folder}/kustomization.yaml"))
for generator in kustomization["configMapGenerator"]:
    for file in generator["files"]:
        open(f"{folder}/{file}").close()
generated = {g["name"] for g in kustomization["configMapGenerator"]}
documents = [d for r in kustomization["resources"] for d in yaml.safe_load_all(open(f"{folder}/{r}"))]
kinds = [d["kind"] for d in documents]
assert kinds == ["Namespace", "Service", "StatefulSet"], kinds
pod = documents[-1]["spec"]["template"]["spec"]
assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
assert pod["securityContext"]["fsGroup"] > 0
sidecar, app = pod["initContainers"][0], pod["containers"][0]
assert sidecar["restartPolicy"] == "Always"
for container in (sidecar, app):
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context.get("runAsUser", 1) != 0
    assert "memory" in container["resources"]["limits"]
for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
    assert sidecar[probe]["httpGet"]["port"] == sidecar["ports"][0]["name"], probe
assert sidecar["ports"][0]["containerPort"] == int(sys.argv[2])
volumes = {v["name"]: v for v in pod["volumes"]}
claims = {c["metadata"]["name"] for c in documents[-1]["spec"]["volumeClaimTemplates"]}
for container in (sidecar, app):
    for mount in container["volumeMounts"]:
        assert mount["name"] in volumes or mount["name"] in claims, mount
for volume in volumes.values():
    assert set(volume) & {"configMap", "secret", "emptyDir"}, volume
    if "configMap" in volume:
        assert volume["configMap"]["name"] in generated, volume
    if "emptyDir" in volume:
        assert volume["emptyDir"]["sizeLimit"], volume
assert all(mount["name"] not in ("keys", "ledger") for mount in app["volumeMounts"])
assert pod["terminationGracePeriodSeconds"] > int(sys.argv[3])
print("manifests ok")
"#;

#[test]
fn the_manifests_are_restricted_and_fit_the_config() {
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    if !has_yaml.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: the_manifests_are_restricted_and_fit_the_config: no python3 with yaml");
        return;
    }
    let folder = shipped("deploy/kubernetes");
    let config = std::fs::read_to_string(folder.join("veritail.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let listen = config["admin"]["listen"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let deadline = config["shutdown"]["deadline"].as_str().unwrap().trim_end_matches('s');
    let mut python = Command::new("python3");
    python.args(["-c", MANIFESTS]).arg(&folder).args([listen, deadline]);
    let said = python.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.stdout, b"manifests ok\n");
}

#[test]
fn kustomize_builds_them() {
    let kubectl = Command::new("kubectl").args(["kustomize", "--help"]).output();
    if !kubectl.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: kustomize_builds_them: no kubectl");
        return;
    }
    let folder = shipped("deploy/kubernetes");
    let built = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert_eq!(text.matches("kind: ConfigMap").count(), 2, "{text}");
    assert!(text.contains("name: veritail-config-"), "{text}");
}

/// The pod without Kubernetes: its config, its application, its keys as Kubernetes mounts them.
#[test]
fn the_pod_of_the_example_works() {
    if !have("python3", "the_pod_of_the_example_works") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let keys = dir.path().join("secret");
    std::fs::create_dir(&keys).unwrap();
    for (name, digit) in [("mac.key", "a"), ("signing.key", "b")] {
        std::fs::write(keys.join(name), digit.repeat(64)).unwrap();
        let readable_by_group = std::fs::Permissions::from_mode(0o440);
        std::fs::set_permissions(keys.join(name), readable_by_group).unwrap();
    }
    let (ledger, socket) = (at("ledger"), at("ingest.sock"));
    let (files, secret) = (format!("[\"{}\"]", at("requests*.ndjson*")), at("secret"));
    let shared = dir.path().to_owned();
    let environment = [
        ("VERITAIL__LEDGER__DIR", ledger.as_str()),
        ("VERITAIL__SOURCE__INGEST__PATH", &socket),
        ("VERITAIL__SOURCE__APP__PATHS", &files),
        ("VERITAIL__ADMIN__LISTEN", "127.0.0.1:0"),
        ("CREDENTIALS_DIRECTORY", &secret),
    ];
    let config = shipped("deploy/kubernetes/veritail.toml");
    let mut daemon = Running::with(dir, &config, &environment).ready();
    let app = Command::new("python3")
        .arg(shipped("deploy/kubernetes/app.py"))
        .env("VERITAIL_SHARED", shared)
        .env("CALLS", "6")
        .env("CALL_EVERY_SECONDS", "0.01")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&app.stdout).into_owned();
    assert!(app.status.success(), "{}", String::from_utf8_lossy(&app.stderr));
    assert_eq!(said.matches("sealed as").count(), 3, "{said}");
    let calls = |daemon: &Running| -> Vec<serde_json::Value> {
        let entries = daemon.entries().into_iter();
        entries.filter(|entry| entry["event_type"] == "chat_completion").collect()
    };
    until("the file's records", || calls(&daemon).len() == 6);
    daemon.stop();
    let text = serde_json::to_string(&calls(&daemon)).unwrap();
    assert!(!text.contains("example.com"), "{text}");
    assert!(!daemon.path("ledger/keys/mac.key").exists(), "the given key was copied");
}
