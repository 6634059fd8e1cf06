"""The simulated GitLab as python-gitlab sees it: branches, commits, files, trees, merge requests, pages, refusals.

The world runs as a process of its own, on sockets, with a token that may do everything. Run by scripts/gitlab-client.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import gitlab
from gitlab.exceptions import (
    GitlabAuthenticationError,
    GitlabCreateError,
    GitlabError,
    GitlabGetError,
)

PROJECT = "platform/fleet"
ISTIOD = "clusters/test-euw1-1/istio/istiod.yaml"


class GitLabTest(unittest.TestCase):
    """Each test has its own branches; the world is shared, for starting it is the slow part."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        cls.world = subprocess.Popen(
            [os.environ["GUARD_WORLD"], "--folder", str(folder), "--token-may-merge"]
        )
        told = folder / "world.json"
        until = time.monotonic() + 30
        while not told.exists():
            assert cls.world.poll() is None, "guard-world ended"
            assert time.monotonic() < until, "guard-world does not listen"
            time.sleep(0.02)
        cls.about = json.loads(told.read_text())
        cls.gl = gitlab.Gitlab(cls.about["gitlab_url"], private_token=cls.about["gitlab_token"])
        cls.project = cls.gl.projects.get(PROJECT)

    @classmethod
    def tearDownClass(cls):
        cls.gl.session.close()
        cls.world.terminate()
        cls.world.wait()
        cls.folder.cleanup()

    def commit(self, branch, actions, **start):
        data = {"branch": branch, "commit_message": f"on {branch}", "actions": actions, **start}
        return self.project.commits.create(data)

    def propose(self, branch, name="notes.md", **more):
        """A branch with one new file, and a merge request from it."""
        create = {"action": "create", "file_path": name, "content": f"{branch}\n"}
        self.commit(branch, [create], start_branch="main")
        data = {"source_branch": branch, "target_branch": "main", "title": f"From {branch}", **more}
        return self.project.mergerequests.create(data)

    def mergeable(self, iid):
        """GitLab works out whether a request can be merged some seconds after its opening: a client must ask again."""
        until = time.monotonic() + 20
        while True:
            request = self.project.mergerequests.get(iid)
            if request.detailed_merge_status not in ("checking", "unchecked", "preparing"):
                return request
            assert time.monotonic() < until, request.detailed_merge_status
            time.sleep(0.2)

    def test_the_project_is_found_by_path_and_by_number(self):
        self.assertEqual(self.project.path_with_namespace, PROJECT)
        self.assertEqual(self.gl.projects.get(self.project.id).path_with_namespace, PROJECT)
        self.assertEqual(self.project.default_branch, "main")
        with self.assertRaises(GitlabGetError) as refused:
            self.gl.projects.get("platform/nothing")
        self.assertEqual(refused.exception.response_code, 404)

    def test_a_wrong_token_is_refused(self):
        with gitlab.Gitlab(self.about["gitlab_url"], private_token="glpat-other") as other:
            with self.assertRaises(GitlabAuthenticationError):
                other.auth()
        self.gl.auth()
        self.assertEqual(self.gl.user.username, "guard")
        self.assertEqual(self.gl.personal_access_tokens.get("self").scopes, ["api"])

    def test_branches_are_made_listed_and_deleted(self):
        made = self.project.branches.create({"branch": "client/one", "ref": "main"})
        head = self.project.branches.get("main").commit["id"]
        self.assertEqual((made.name, made.commit["id"], made.protected), ("client/one", head, False))
        self.assertTrue(self.project.branches.get("main").protected)
        self.assertEqual([b.name for b in self.project.branches.list(search="^client/one", get_all=True)], ["client/one"])
        with self.assertRaises(GitlabCreateError):
            self.project.branches.create({"branch": "client/one", "ref": "main"})
        self.project.branches.delete("client/one")
        with self.assertRaises(GitlabGetError):
            self.project.branches.get("client/one")

    def test_many_files_change_in_one_commit_and_keep_their_bytes(self):
        head = self.project.branches.get("main").commit["id"]
        before = self.project.files.get(ISTIOD, ref=head)
        self.assertEqual(before.decode(), self.project.files.raw(ISTIOD, ref=head))
        content = b"\xef\xbb\xbfa: 1\r\n" + before.decode()
        actions = [
            {"action": "update", "file_path": ISTIOD, "encoding": "base64",
             "content": base64.b64encode(content).decode(), "last_commit_id": before.last_commit_id},
            {"action": "create", "file_path": "client/new.md", "content": "new\n"},
        ]
        commit = self.commit("client/bytes", actions, start_sha=head)
        self.assertEqual(commit.parent_ids, [head])
        self.assertEqual(self.project.files.get(ISTIOD, ref="client/bytes").decode(), content)
        self.assertEqual(self.project.files.get(ISTIOD, ref="main").decode(), before.decode())
        changed = [diff["new_path"] for diff in self.project.repository_compare("main", "client/bytes")["diffs"]]
        self.assertEqual(sorted(changed), ["client/new.md", ISTIOD])
        base = self.project.repository_merge_base(["main", "client/bytes"])
        self.assertEqual(base["id"], head)
        names = [ref["name"] for ref in self.project.commits.get(commit.id).refs(type="branch", get_all=True)]
        self.assertEqual(names, ["client/bytes"])

    def test_a_commit_onto_what_has_moved_on_is_refused(self):
        head = self.project.branches.get("main").commit["id"]
        update = {"action": "update", "file_path": "README.md", "content": "x\n", "last_commit_id": "0" * 40}
        with self.assertRaises(GitlabCreateError) as refused:
            self.commit("client/stale", [update], start_sha=head)
        self.assertEqual(refused.exception.response_code, 400)
        self.assertIn("has changed since you started editing it", str(refused.exception))
        for branch, start in (("main", {"start_sha": head}), ("client/none", {})):
            with self.assertRaises(GitlabCreateError):
                self.commit(branch, [{"action": "create", "file_path": "x", "content": ""}], **start)

    def test_the_tree_comes_in_pages(self):
        pages = self.project.repository_tree(path="clusters", recursive=True, per_page=2, iterator=True)
        total, many = pages.total, pages.total_pages
        entries = [entry["path"] for entry in pages]
        self.assertEqual(total, len(entries))
        self.assertEqual(many, (total + 1) // 2)
        self.assertEqual(len(entries), len(set(entries)))
        self.assertIn(ISTIOD, entries)
        with self.assertRaises(GitlabGetError):
            self.project.repository_tree(path="nothing-here", get_all=True)

    def test_a_merge_request_is_opened_updated_closed_and_reopened(self):
        users = [self.gl.users.list(username=name, get_all=True)[0].id for name in ("robin", "casey")]
        self.assertEqual(self.gl.users.list(username="nobody", get_all=True), [])
        request = self.propose("client/life", description="why", labels=["a", "b"], assignee_ids=users[:1],
                               reviewer_ids=users[1:], remove_source_branch=True)
        self.assertEqual((request.state, request.labels, request.draft), ("opened", ["a", "b"], False))
        self.assertEqual([user["username"] for user in request.assignees], ["robin"])
        self.assertEqual([user["username"] for user in request.reviewers], ["casey"])
        self.assertEqual(request.sha, self.project.branches.get("client/life").commit["id"])

        with self.assertRaises(GitlabCreateError) as twin:
            self.project.mergerequests.create(
                {"source_branch": "client/life", "target_branch": "main", "title": "again"})
        self.assertEqual(twin.exception.response_code, 409)
        self.assertIn(f"!{request.iid}", str(twin.exception))

        request.title, request.labels = "Another title", ["c"]
        request.state_event = "close"
        request.save()
        seen = self.project.mergerequests.get(request.iid)
        self.assertEqual((seen.title, seen.labels, seen.state), ("Another title", ["c"], "closed"))
        self.project.mergerequests.update(request.iid, {"state_event": "reopen"})
        self.assertEqual(self.project.mergerequests.get(request.iid).state, "opened")
        note = request.notes.create({"body": "seen"})
        self.assertEqual([n.body for n in request.notes.list(get_all=True)], [note.body])
        self.assertEqual([d["new_path"] for d in request.changes()["changes"]], ["notes.md"])

    def test_a_merge_lands_on_the_target(self):
        request = self.propose("client/lands", name="landed.md", remove_source_branch=True)
        with self.assertRaises(GitlabError):
            request.merge(sha="0" * 40)
        request = self.mergeable(request.iid)
        self.assertEqual(request.detailed_merge_status, "mergeable")
        request.merge(sha=request.sha)
        merged = self.project.mergerequests.get(request.iid)
        self.assertEqual((merged.state, merged.detailed_merge_status), ("merged", "not_open"))
        self.assertEqual(merged.merge_commit_sha, self.project.branches.get("main").commit["id"])
        self.assertEqual(self.project.files.get("landed.md", ref="main").decode(), b"client/lands\n")
        with self.assertRaises(GitlabGetError):
            self.project.branches.get("client/lands")

    def test_thirty_requests_are_listed_page_by_page_and_filtered(self):
        made = [self.propose(f"client/page-{n}", name=f"page-{n}.md", labels=["paged"]) for n in range(30)]
        # The page size that GitLab takes where none is asked for.
        first = self.project.mergerequests.list(labels=["paged"], page=1)
        self.assertEqual(len(first), 20)
        pages = self.project.mergerequests.list(labels=["paged"], state="opened", per_page=7, iterator=True)
        self.assertEqual((pages.total, pages.total_pages), (30, 5))
        self.assertEqual([request.iid for request in pages], sorted((mr.iid for mr in made), reverse=True))
        wanted = [made[3].iid, made[28].iid]
        found = self.project.mergerequests.list(iids=wanted, state="all", get_all=True)
        self.assertEqual(sorted(request.iid for request in found), wanted)
        one = self.project.mergerequests.list(source_branch="client/page-9", state="all", get_all=True)
        self.assertEqual([request.iid for request in one], [made[9].iid])

    def test_the_limits_are_told_in_the_headers(self):
        headers = self.gl.http_request("get", "/version").headers
        limit, left = int(headers["RateLimit-Limit"]), int(headers["RateLimit-Remaining"])
        self.assertTrue(0 < left < limit)
        self.assertGreater(int(headers["RateLimit-Reset"]), time.time() - 60)

    def test_many_files_come_in_one_answer(self):
        query = """query($project: ID!, $ref: String!, $paths: [String!]!) { project(fullPath: $project) {
            repository { blobs(ref: $ref, paths: $paths) { nodes { path size rawBlob } } } } }"""
        paths = [ISTIOD, "README.md", "nothing.yaml"]
        answer = self.gl.session.post(
            self.about["gitlab_url"] + "/api/graphql",
            headers={"Authorization": "Bearer " + self.about["gitlab_token"]},
            json={"query": query, "variables": {"project": PROJECT, "ref": "main", "paths": paths}},
        )
        nodes = answer.json()["data"]["project"]["repository"]["blobs"]["nodes"]
        self.assertEqual(sorted(node["path"] for node in nodes), sorted(paths[:2]))
        for node in nodes:
            content = self.project.files.raw(node["path"], ref="main")
            self.assertEqual((node["rawBlob"].encode(), int(node["size"])), (content, len(content)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
