#!/usr/bin/env python3
"""Runs a command and prints the most anonymous memory that it held: what it took beyond the page cache.

Usage: anon.py COMMAND…
"""
import subprocess
import sys
import time

p = subprocess.Popen(sys.argv[1:])
most = 0
while p.poll() is None:
    try:
        with open("/proc/%d/status" % p.pid) as f:
            fields = dict(line.split(":", 1) for line in f)
        most = max(most, int(fields["RssAnon"].split()[0]) if "RssAnon" in fields else 0)
    except (FileNotFoundError, ProcessLookupError):
        break
    time.sleep(0.01)
print("most anonymous memory: %.0f MB" % (most / 1e3))
sys.exit(p.wait())
