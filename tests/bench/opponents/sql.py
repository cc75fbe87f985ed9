"""SQLite and DuckDB, in memory, on the data that `annals-bench export` wrote. Prints lines of figures.

usage: sql.py sqlite|duckdb DIR SUITE...   ($WARM_UP_MS and $BATCH_MS: how long each query is run)

One table an attribute, indexed by value, as a database of facts has it; results are fetched into Python. Closures and
dependencies are recursive common table expressions; a bound end is written into them by hand, which Datalog needs not.
"""

import os
import sys
import time
from pathlib import Path

SYSTEM, FOLDER, SUITES = sys.argv[1], Path(sys.argv[2]), set(sys.argv[3:])
WARM_UP = int(os.environ.get("WARM_UP_MS", "500")) / 1e3
BATCH = int(os.environ.get("BATCH_MS", "200")) / 1e3

if SYSTEM == "sqlite":
    import sqlite3

    db = sqlite3.connect(":memory:")
    fetch = lambda sql: db.execute(sql).fetchall()
else:
    import duckdb

    db = duckdb.connect()
    db.execute("set threads=1")
    fetch = lambda sql: db.execute(sql).fetchall()


def mean_of_runs(seconds, run):
    started, runs = time.perf_counter(), 0
    while True:
        run()
        runs += 1
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return elapsed / runs * 1e3


def measure(suite, row, rows, sql):
    started = time.perf_counter()
    found = len(fetch(sql))
    first = time.perf_counter() - started
    if rows is not None and found != rows:
        print(f"# {suite}: {row} failed: {found} rows instead of {rows}", flush=True)
        return
    batches = 1 if first > 4 else 4 if first > 1 else 7
    if batches == 7:
        mean_of_runs(WARM_UP, lambda: fetch(sql))
    times = sorted(mean_of_runs(BATCH if batches == 7 else 0, lambda: fetch(sql)) for _ in range(batches))
    print(suite, row, SYSTEM, f"{times[len(times) // 2]:.4f}", f"{times[0]:.4f}", "ms", sep="\t", flush=True)


def insert(table, rows):
    """Rows of numbers and texts without quotes."""
    literal = lambda value: f"'{value}'" if isinstance(value, str) else str(value)
    for start in range(0, len(rows), 5000):
        values = ",".join("(" + ",".join(map(literal, row)) + ")" for row in rows[start : start + 5000])
        db.execute(f"insert into {table} values {values}")


def lines(name):
    return [line.split("\t") for line in (FOLDER / name).read_text().splitlines()]


def known_rows():
    """The number of rows of each case, by suite and row, read without an EDN library: the last entry of its line."""
    known = {}
    for line in (FOLDER / "queries.edn").read_text().splitlines():
        suite, row = (line.split(f":{key} \"", 1)[1].split('"', 1)[0] for key in ("suite", "row"))
        rows = line.rsplit(":rows ", 1)[1].rstrip("}")
        known[suite, row] = int(rows) if rows.isdigit() else None
    return known


KNOWN = known_rows()

PEOPLE = {
    "q1": "select e from name where v='Ivan'",
    "q2": "select n.e,a.v from name n join age a on a.e=n.e where n.v='Ivan'",
    "q2-switch": "select n.e,a.v from age a join name n on a.e=n.e where n.v='Ivan'",
    "q3": "select n.e,a.v from name n join age a on a.e=n.e join sex s on s.e=n.e where n.v='Ivan' and s.v='male'",
    "q4": "select n.e,l.v,a.v from name n join last_name l on l.e=n.e join age a on a.e=n.e"
    " join sex s on s.e=n.e where n.v='Ivan' and s.v='male'",
    "q5": "select distinct b.e,l.v,b.v from name n join age a on a.e=n.e join age b on b.v=a.v"
    " join last_name l on l.e=b.e where n.v='Ivan'",
    "q5-shortcircuit": "select n.e,n.v,l.v,a.v,s.v from name n join age a on a.e=n.e join last_name l on l.e=n.e"
    " join sex s on s.e=n.e where n.v='Anastasia' and a.v=35",
    "qpred1": "select e,v from salary where v>50000",
    "qagg": "select n.v,count(*),avg(s.v),max(a.v) from name n join salary s on s.e=n.e join age a on a.e=n.e"
    " group by n.v",
}


def people():
    rows = lines("people.tsv")
    for column, attribute in enumerate(("name", "last_name", "sex", "age", "salary")):
        number = attribute in ("age", "salary")
        db.execute(f"create table {attribute}(e integer primary key, v {'integer' if number else 'text'})")
        insert(attribute, [(e, int(row[column]) if number else row[column]) for e, row in enumerate(rows)])
        db.execute(f"create index {attribute}_v on {attribute}(v,e)")
    db.execute("analyze")
    for row, sql in PEOPLE.items():
        measure("people20k", row, KNOWN["people20k", row], sql)


def load_graph(name):
    edges = lines(f"{name}.graph")
    ids = {node: n for n, node in enumerate(sorted({node for edge in edges for node in edge}))}
    db.execute("drop table if exists f")
    db.execute("create table f(a integer, b integer)")
    insert("f", [(ids[x], ids[y]) for x, y in edges])
    db.execute("create index f_a on f(a,b)")
    db.execute("create index f_b on f(b,a)")
    db.execute("analyze")
    return ids


def rules():
    names = {row.rsplit("-", 1)[0] for suite, row in KNOWN if suite == "rules"}
    for name in sorted(names):
        load_graph(name)
        for side, step in (("right", "select f.a,r.b from f join r on r.a=f.b"),
                           ("left", "select r.a,f.b from r join f on f.a=r.b")):
            sql = f"with recursive r(a,b) as (select a,b from f union {step}) select a,b from r"
            measure("rules", f"{name}-{side}", KNOWN["rules", f"{name}-{side}"], sql)


def debian():
    ids = load_graph("debian")
    ends = {}
    for line in (FOLDER / "queries.edn").read_text().splitlines():
        if ':suite "debian"' in line:
            row = line.split(':row "', 1)[1].split('"', 1)[0]
            ends[row] = ids[line.split('#node "', 1)[1].split('"', 1)[0]]
    for row, end in ends.items():
        down = f"select b from f where a={end} union select f.b from f join r on f.a=r.x"
        up = f"select a from f where b={end} union select f.a from f join r on f.b=r.x"
        step = down if row.startswith("D1") else up
        measure("debian", row, KNOWN["debian", row], f"with recursive r(x) as ({step}) select x from r")


for suite, run in (("people20k", people), ("rules", rules), ("debian", debian)):
    if suite in SUITES:
        run()
