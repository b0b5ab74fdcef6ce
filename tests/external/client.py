"""Uses the simulator as a program with `requests` does: logs in, writes, reads until the write is visible, runs into
the quota, waits as it is told. Arguments: base URL, conversation, participant, and the largest number of requests that
the quota can let pass. Prints how many it let pass, or fails at the first answer that is not as documented."""

import sys
import time

import requests

base, conversation, participant, at_most = *sys.argv[1:4], int(sys.argv[4])
session = requests.Session()
session.trust_env = False  # No proxy: the simulator is on this machine.
passed = 0


def send(method, path, **more):
    response = session.request(method, base + path, timeout=10, **more)
    print(method, path, response.status_code, response.headers.get("Retry-After", ""), file=sys.stderr)
    return response


def write(value):
    path = f"/api/v2/conversations/{conversation}/participants/{participant}/attributes"
    return send("PATCH", path, json={"attributes": {"tier": value}})


login = send("POST", "/oauth/token", auth=("simulator", "simulator"), data={"grant_type": "client_credentials"})
assert login.status_code == 200 and login.json()["token_type"] == "bearer", login.text
session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"

accepted = write("gold")
assert accepted.status_code == 202 and accepted.content == b"", accepted.text
passed += 1

tier, give_up = None, time.monotonic() + 10
while tier != "gold":
    assert time.monotonic() < give_up, "the write never became visible"
    time.sleep(0.05)
    found = send("GET", f"/api/v2/conversations/{conversation}")
    assert found.status_code == 200, found.text
    passed += 1
    parties = {party["id"]: party for party in found.json()["participants"]}
    tier = parties[participant]["attributes"].get("tier")

while (answer := write("silver")).status_code == 202:
    passed += 1
    assert passed <= at_most, "the quota is not enforced"
assert answer.status_code == 429, answer.text
error = answer.json()
assert error["code"] == "too.many.requests.retry.after" and error["status"] == 429, error
assert error["contextId"] == answer.headers["ININ-Correlation-Id"], error

time.sleep(int(answer.headers["Retry-After"]))
assert write("silver").status_code == 202, "Retry-After promised more than was true"
print(passed)
