"""A small JSON API that has nothing to do with Genesys: profiles that a merge patch (RFC 7396) changes, for who brings
the token. Arguments: the token, and how many requests a second it lets pass, 0 for all. Prints its port. `GET /counts`
and `GET /profiles` tell, without a token, how often it gave which status to a PATCH, and what the profiles are now."""

import collections
import http.server
import json
import sys
import time

TOKEN, PER_SECOND = sys.argv[1], int(sys.argv[2])
profiles = {f"p-{n}": {"id": f"p-{n}", "name": f"Ann {n}", "tier": "silver", "ref": "none"} for n in range(1, 21)}
counts, windows = collections.Counter(), collections.Counter()


def patched(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = {**(target if isinstance(target, dict) else {})}
    for key, value in patch.items():
        result[key] = patched(result.get(key), value)
    return {key: value for key, value in result.items() if value is not None}


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, status, body, **headers):
        if self.command == "PATCH":
            counts[status] += 1
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(text)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        public = {"/counts": counts, "/profiles": profiles}.get(self.path)
        profile = profiles.get(self.path.removeprefix("/v1/profiles/"))
        windows[int(time.monotonic())] += 1
        if public is not None:
            self.reply(200, public)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(401, {"error": "invalid_token", "message": "who are you?"})
        elif PER_SECOND and windows[int(time.monotonic())] > PER_SECOND:
            self.reply(429, {"error": "slow_down"}, Retry_After=1)
        elif profile is None:
            self.reply(404, {"error": "no_such_profile", "message": self.path})
        elif self.command == "PATCH" and self.headers.get("Content-Type") != "application/merge-patch+json":
            self.reply(415, {"error": "not_a_merge_patch"})
        elif self.command == "PATCH":
            profiles[profile["id"]] = patched(profile, json.loads(body))
            self.reply(200, profiles[profile["id"]])
        else:
            self.reply(200, profile)

    do_GET = do_PATCH = answer

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
