"""Reads a run folder's latency.hlog with the HdrHistogram package for Python and checks it against what patchload says.

usage: hlog_reader.py RUN_FOLDER BUCKETS_JSON

BUCKETS_JSON is {tag: [[lowest value of the bucket in microseconds, count], ...]}. For every tag the sum of its lines
must have exactly these buckets, and latency.csv must hold the value at rank ceil(percentile x count), or nothing
where fewer than one sample lies above it. Ends with 0 when all of it holds, and else says what does not.
"""

import csv
import json
import sys
from fractions import Fraction
from math import ceil
from pathlib import Path

try:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
except ImportError as error:
    sys.exit(f"the Python package `hdrhistogram` is missing ({error}); install it with: pip install hdrhistogram")

LOWEST, HIGHEST, DIGITS = 1, 24 * 3600 * 1_000_000, 3


def sums(path):
    """The histogram of each tag over all lines, and how many lines there are."""
    by_tag, lines = {}, 0
    reader = HistogramLogReader(str(path), HdrHistogram(LOWEST, HIGHEST, DIGITS))
    while (interval := reader.get_next_interval_histogram()) is not None:
        lines += 1
        by_tag.setdefault(interval.get_tag(), HdrHistogram(LOWEST, HIGHEST, DIGITS)).add(interval)
    reader.close()
    return by_tag, lines


def buckets(histogram):
    """[lowest value, count] of every bucket that is not empty, in ascending order."""
    found = []
    for index in range(histogram.counts_len):
        count = histogram.get_count_at_index(index)
        if count:
            found.append([histogram.get_value_from_index(index), count])
    return found


def at_rank(histogram, rank):
    """The highest value of the bucket that holds the sample of that rank, counted from 1."""
    seen = 0
    for value, count in buckets(histogram):
        seen += count
        if seen >= rank:
            return histogram.get_highest_equivalent_value(value)
    raise ValueError(f"no rank {rank} in {seen} samples")


def expected_cell(histogram, percentile):
    """What latency.csv must say; all in whole numbers and fractions."""
    count, share = histogram.get_total_count(), Fraction(percentile) / 100
    if share < 1 and count * (1 - share) < 1:
        return ""
    return str(at_rank(histogram, max(1, ceil(count * share))))


def with_all(by_tag):
    """Adds the series over all outcomes, over all variants, and over both."""
    more = {}
    for tag, histogram in by_tag.items():
        target, variant, outcome, clock = tag.split("/")
        for key in {(v, o) for v in (variant, "all") for o in (outcome, "all")}:
            name = "/".join((target, *key, clock))
            more.setdefault(name, HdrHistogram(LOWEST, HIGHEST, DIGITS)).add(histogram)
    return more


def main(folder, dump):
    problems = []
    by_tag, lines = sums(folder / "latency.hlog")
    expected = json.loads(dump.read_text(encoding="utf-8"))
    if by_tag.keys() != expected.keys():
        problems.append(f"tags differ: {sorted(by_tag.keys() ^ expected.keys())}")
    for tag in by_tag.keys() & expected.keys():
        if buckets(by_tag[tag]) != expected[tag]:
            problems.append(f"{tag}: {buckets(by_tag[tag])[:5]}... is not {expected[tag][:5]}...")

    series, seen, values = with_all(by_tag), set(), 0
    with open(folder / "latency.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tag = "/".join(row[column] for column in ("target", "variant", "outcome", "clock"))
            seen.add(tag)
            if tag not in series:
                problems.append(f"latency.csv has {tag}, latency.hlog has not")
                continue
            said = (row["value_us"], row["count"])
            right = (expected_cell(series[tag], row["percentile"]), str(series[tag].get_total_count()))
            values += said[0] != ""
            if said != right:
                problems.append(f"{tag} p{row['percentile']}: latency.csv says {said}, latency.hlog {right}")
    if seen != series.keys():
        problems.append(f"latency.csv lacks {sorted(series.keys() - seen)}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{lines} lines, {len(by_tag)} tags, {values} values agree")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
