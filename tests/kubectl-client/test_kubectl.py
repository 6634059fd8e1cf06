"""A simulated API server as kubectl sees it: versions, lists, pages, selectors, server-side apply, dry runs, refusals.

The world runs as a process of its own, on sockets; kubectl trusts its authority and shows a token. Run by
scripts/kubectl-client.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

CLUSTER = "test-euw1-1"
MANAGER = "somebody-else"


class KubectlTest(unittest.TestCase):
    """The world is shared, for starting it is the slow part; each test changes objects of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        cls.world = subprocess.Popen([os.environ["GUARD_WORLD"], "--folder", str(cls.path)])
        told = cls.path / "world.json"
        until = time.monotonic() + 30
        while not told.exists():
            assert cls.world.poll() is None, "guard-world ended"
            assert time.monotonic() < until, "guard-world does not listen"
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.world.terminate()
        cls.world.wait()
        cls.folder.cleanup()

    def kubectl(self, *words, stdin=None, fails=False):
        """What kubectl prints; with `fails`, what it complains about."""
        command = [
            os.environ["KUBECTL"],
            "--kubeconfig",
            str(self.path / f"{CLUSTER}.kubeconfig"),
            "--cache-dir",
            str(self.path / "cache"),
            *words,
        ]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        if fails:
            self.assertNotEqual(done.returncode, 0, done.stdout)
            return done.stderr
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def objects(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def names(self, *words):
        return [one["metadata"]["name"] for one in self.objects(*words)["items"]]

    def test_version_and_discovery(self):
        version = json.loads(self.kubectl("version", "-o", "json"))["serverVersion"]
        self.assertEqual((version["major"], version["minor"].isdigit()), ("1", True))
        served = self.kubectl("api-resources", "--no-headers", "-o", "name").split()
        for name in ["pods", "replicasets.apps", "helmreleases.helm.toolkit.fluxcd.io"]:
            self.assertIn(name, served)

    def test_get_one_and_all(self):
        pod = self.objects("pod", "ledger-0", "-n", "data")
        self.assertEqual((pod["kind"], pod["apiVersion"]), ("Pod", "v1"))
        self.assertIn("ledger-0", self.kubectl("get", "pods", "-n", "data"))
        self.assertIn("istiod", self.names("helmreleases", "-A"))
        self.assertIn('pods "nobody" not found', self.kubectl("get", "pod", "nobody", "-n", "data", fails=True))

    def test_pages(self):
        whole = self.names("pods", "-A", "--chunk-size=0")
        self.assertGreater(len(whole), 20)
        seen = self.kubectl("get", "pods", "-A", "--chunk-size=7", "-o", "name")
        self.assertEqual([line.removeprefix("pod/") for line in seen.split()], whole)

    def test_selectors(self):
        self.assertEqual(len(self.names("pods", "-n", "shop", "-l", "app=cart")), 3)
        alive = self.names("replicasets", "-A", "--field-selector", "status.replicas!=0")
        self.assertLess(len(alive), len(self.names("replicasets", "-A")))
        refused = self.kubectl("get", "deployments", "-A", "--field-selector", "status.replicas!=0", fails=True)
        self.assertIn("is not a known field selector", refused)

    def apply(self, mark, *words, manager=MANAGER, fails=False):
        wanted = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"metadata": {"annotations": {"example.com/mark": mark}}}},
        }
        return self.kubectl(
            "apply", "--server-side", f"--field-manager={manager}", "--validate=ignore", "-f", "-", *words,
            stdin=json.dumps(wanted), fails=fails,
        )

    def mark(self):
        web = self.objects("deployment", "web", "-n", "shop")
        return web["spec"]["template"]["metadata"]["annotations"].get("example.com/mark")

    def test_server_side_apply(self):
        self.assertIn("deployment.apps/web serverside-applied", self.apply("one"))
        self.assertEqual(self.mark(), "one")
        generation = self.objects("deployment", "web", "-n", "shop")["metadata"]["generation"]
        self.apply("one")
        again = self.objects("deployment", "web", "-n", "shop")
        self.assertEqual(again["metadata"]["generation"], generation, "the same again changes nothing")
        managers = self.kubectl("get", "deployment", "web", "-n", "shop", "-o", "json", "--show-managed-fields")
        named = [one["manager"] for one in json.loads(managers)["metadata"]["managedFields"]]
        self.assertIn(MANAGER, named)
        self.apply("two", "--dry-run=server")
        self.assertEqual(self.mark(), "one", "a dry run changes nothing")

    def test_patch(self):
        change = {"spec": {"template": {"metadata": {"annotations": {"example.com/patched": "yes"}}}}}
        for form in ["merge", "strategic"]:
            self.kubectl("patch", "statefulset", "ledger", "-n", "data", f"--type={form}", "-p", json.dumps(change))
        ledger = self.objects("statefulset", "ledger", "-n", "data")
        self.assertEqual(ledger["spec"]["template"]["metadata"]["annotations"]["example.com/patched"], "yes")

    def create(self, namespace, labels=None, fails=False, dry="--dry-run=server"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": namespace, "labels": labels or {}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        }
        words = ["create", "--validate=ignore", "-f", "-", "-o", "json"] + ([dry] if dry else [])
        said = self.kubectl(*words, stdin=json.dumps(pod), fails=fails)
        return said if fails else json.loads(said)

    def test_a_dry_run_goes_through_the_injector_and_leaves_nothing(self):
        names = [one["name"] for one in self.create("shop")["spec"]["containers"]]
        self.assertEqual(names, ["istio-proxy", "app"])
        plain = self.create("shop", {"sidecar.istio.io/inject": "false"})
        self.assertEqual([one["name"] for one in plain["spec"]["containers"]], ["app"])
        self.assertEqual([one["name"] for one in self.create("batch")["spec"]["containers"]], ["app"])
        self.assertNotIn("probe", self.names("pods", "-A"))
        self.assertIn('namespaces "nowhere" not found', self.create("nowhere", fails=True))

    def test_refusals(self):
        kubeconfig = json.loads((self.path / f"{CLUSTER}.kubeconfig").read_text())
        kubeconfig["users"][0]["user"] = {"token": "nonsense"}
        other = self.path / "nonsense.kubeconfig"
        other.write_text(json.dumps(kubeconfig))
        command = [os.environ["KUBECTL"], "--kubeconfig", str(other), "--cache-dir", str(self.path / "other")]
        done = subprocess.run([*command, "get", "pods"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("You must be logged in to the server", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
