"""How late requests came to a server, against the even schedule that their sender was asked for.

Reads the truth of `patchload sim`, a line of JSON for each request, from standard input, and takes the rate per second as
its argument. Prints one line: the achieved rate per second, the 50th and the 99th percentile of lateness against the
schedule in microseconds, and the same two against the even line at the achieved rate.

Arrival k of the steady part is due at t0 + k / rate. The steady part begins a second after the first arrival, so a burst
at the start, a slow start and a constant delay cost nobody anything: k counts from there, and t0 is the latest start for
which no arrival is early, the smallest of all a_k - k / rate. A request that is missing, or a rate that is a little too
low, makes all that follow late, as it does for whoever waits for them; the achieved rate tells of it, and lateness at the
achieved rate is free of it.
"""

import json
import sys
from statistics import linear_regression

WARM_UP_US = 1_000_000


def lateness(arrived, period):
    """How late each arrival is, in ascending order; arrivals and the schedule's period in microseconds."""
    against_zero = [at - k * period for k, at in enumerate(arrived)]
    start = min(against_zero)
    return sorted(at - start for at in against_zero)


def percentile(ascending, percent):
    """The smallest value that at least so many percent of all do not exceed."""
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]


def main():
    rate = float(sys.argv[1])
    requests = (json.loads(line) for line in sys.stdin)
    arrived = sorted(request["arrived_us"] for request in requests if request["method"] == "PATCH")
    steady = [at for at in arrived if at >= arrived[0] + WARM_UP_US] if arrived else []
    if len(steady) < 100:
        sys.exit(f"only {len(steady)} requests came after the first second")
    # A line through all arrivals: the first and the last alone would take a pause at an end for another rate.
    own_period = linear_regression(range(len(steady)), steady).slope
    late, uneven = lateness(steady, 1e6 / rate), lateness(steady, own_period)
    figures = [percentile(values, percent) for values in (late, uneven) for percent in (50, 99)]
    print(f"{1e6 / own_period:.2f}", *(f"{figure:.0f}" for figure in figures))


main()
