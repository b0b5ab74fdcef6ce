"""A server whose PATCHes go through one limiter of other people's making, keyed by the Authorization header.

Arguments: the limiter's name, and the port. The last few are no limiters: what a profile must not mistake for one."""

import datetime
import http.server
import random
import sys
import threading
import time

import limits
import limits.storage
import limits.strategies
import throttled

EACH_3_S = limits.RateLimitItemPerSecond(12, 3)


def of_limits(strategy):
    limiter = strategy(limits.storage.MemoryStorage())
    return lambda key: limiter.hit(EACH_3_S, key)


def of_throttled(kind):
    quota = throttled.per_duration(datetime.timedelta(seconds=3), 12, burst=8)
    limiter = throttled.Throttled(using=kind, quota=quota, store=throttled.store.MemoryStore())
    return lambda key: not limiter.limit(key).limited


def shedding():
    chance = random.Random(7)
    return lambda key: chance.random() >= 0.1


def changing():
    """A window whose limit is another one every 7 seconds."""
    windows = [limits.RateLimitItemPerSecond(amount, 2) for amount in (20, 7, 13)]
    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    return lambda key: limiter.hit(windows[int(time.time() / 7) % len(windows)], key)


def slow():
    """No limit, but an answer takes a while."""

    def admit(key):
        time.sleep(0.15)
        return True

    return admit


LIMITERS = {
    "limits-fixed": lambda: of_limits(limits.strategies.FixedWindowRateLimiter),
    "limits-moving": lambda: of_limits(limits.strategies.MovingWindowRateLimiter),
    "limits-counter": lambda: of_limits(limits.strategies.SlidingWindowCounterRateLimiter),
    "throttled-gcra": lambda: of_throttled("gcra"),
    "throttled-bucket": lambda: of_throttled("token_bucket"),
    "throttled-leaking": lambda: of_throttled("leaking_bucket"),
    "throttled-fixed": lambda: of_throttled("fixed_window"),
    "shedding": shedding,
    "changing": changing,
    "slow": slow,
    "open": lambda: lambda key: True,
}
# What the slow one waits for is not the limiter, so nobody must wait for it.
UNLOCKED = {"slow"}

name, port = sys.argv[1], int(sys.argv[2])
limiter = LIMITERS[name]()
lock = threading.Lock()


def admits(key):
    if name in UNLOCKED:
        return limiter(key)
    with lock:
        return limiter(key)


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PATCH(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(202 if admits(self.headers.get("Authorization", "")) else 429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


Server(("127.0.0.1", port), Api).serve_forever()
