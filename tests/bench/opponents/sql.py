"""SQLite, DuckDB or PostgreSQL on the data that `annals-bench export` wrote. Prints lines of figures.

usage: sql.py DIR SUITE...   ($SYSTEM: which; $WARM_UP_MS, $BATCH_MS: how long each query is run; see `run`)

One table an attribute, as a database of facts has it: the entity is the key, and there is an index by value where
Annals has one. Statements are prepared; rows are fetched as columns where the system can, else as Python's rows.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

from sql_queries import CATALOGUE, CLOSURE, PEOPLE, REACHABLE
from sql_systems import SYSTEMS

SYSTEM, FOLDER, SUITES = os.environ["SYSTEM"], Path(sys.argv[1]), sys.argv[2:]
WARM_UP = int(os.environ.get("WARM_UP_MS", "500")) / 1e3
BATCH = int(os.environ.get("BATCH_MS", "200")) / 1e3
RUNS = 5
PERSON = {"name": "text", "last_name": "text", "sex": "text", "age": "integer", "salary": "integer"}

database = SYSTEMS[SYSTEM]()


# Figures


def mean_of_runs(seconds, run):
    started, runs = time.perf_counter(), 0
    while True:
        run()
        runs += 1
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return elapsed / runs * 1e3


def line(suite, row, figures, unit):
    figures = sorted(figures)
    print(suite, row, SYSTEM, f"{figures[len(figures) // 2]:.5f}", f"{figures[0]:.5f}", unit, sep="\t", flush=True)


def measure(suite, row, rows, run):
    """A row of the times of `run`, which answers how many rows it found: `rows`, unless that is None."""
    started = time.perf_counter()
    found = run()
    first = time.perf_counter() - started
    if rows is not None and found != rows:
        print(f"# {row} failed: {found} rows instead of {rows}", flush=True)
        return
    batches = 1 if first > 4 else 4 if first > 1 else 7
    if batches == 7:
        mean_of_runs(WARM_UP, run)
    line(suite, row, [mean_of_runs(BATCH if batches == 7 else 0, run) for _ in range(batches)], "ms")


def work(row, transactions, people, fill):
    """A row of the times of `fill` on new tables, and its rate; it must make the facts of that many people."""
    expected, scale, times = len(PERSON) * people, len(PEOPLE_ROWS) / people, []
    if scale != 1:
        print(f"# {row}: {people} people, scaled to {len(PEOPLE_ROWS)}", flush=True)
    while len(times) < (1 if times and times[0] > 4000 * scale else RUNS):
        people_tables()
        started = time.perf_counter()
        fill()
        times.append((time.perf_counter() - started) * 1e3 * scale)
        made = sum(database.value(f"select count(*) from {table}") for table in PERSON)
        if made != expected:
            print(f"# {row} failed: {made} facts instead of {expected}", flush=True)
            return
    line("writes", row, times, "ms")
    if transactions:
        line("writes", f"{row}-rate", [transactions * 1e3 / t for t in times], "tx/s")


# Data


def lines(name):
    return [text.split("\t") for text in (FOLDER / name).read_text().split("\n") if text]


def read_cases():
    """Rows and last text argument of each case, by suite and row: each is on a line, so no EDN library is needed."""
    cases = {}
    for text in (FOLDER / "queries.edn").read_text().split("\n"):
        if text:
            suite, row = (re.search(f':{key} "([^"]*)"', text)[1] for key in ("suite", "row"))
            args, rows = re.search(r":args (.*) :rows (.*)}$", text).groups()
            texts = [json.loads(quoted) for quoted in re.findall(r'"(?:[^"\\]|\\.)*"', args)]
            cases.setdefault(suite, {})[row] = (int(rows) if rows.isdigit() else None, texts[-1] if texts else None)
    return cases


CASES = read_cases()
PEOPLE_ROWS = [[*texts, int(age), int(salary)] for *texts, age, salary in lines("people.tsv")]
PEOPLE_FACTS = {table: [(e, row[i]) for e, row in enumerate(PEOPLE_ROWS)] for i, table in enumerate(PERSON)}


def people_tables():
    for table, kind in PERSON.items():
        database.table(table, kind, many=False, by_value=True)


def load_people():
    people_tables()
    for table, facts in PEOPLE_FACTS.items():
        database.insert(table, facts)
    database.analyze()


def load_graph(name):
    edges = lines(f"{name}.graph")
    ids = {node: n for n, node in enumerate(sorted({node for edge in edges for node in edge}))}
    database.run("drop table if exists f")
    database.run("create table f(a integer, b integer)")
    database.insert("f", [(ids[x], ids[y]) for x, y in edges])
    database.run("create index f_a on f(a,b)")
    database.run("create index f_b on f(b,a)")
    database.analyze()
    return ids


def table_of(attribute):
    return re.sub("[^A-Za-z0-9]", "_", attribute)


def catalogue_tables():
    for attribute, kind, many, by_value in lines("catalogue.attributes"):
        database.table(table_of(attribute), kind, many == "many", by_value == "index")


def catalogue_transactions():
    """For each transaction the facts of each table."""
    transactions = {}
    for t, attribute, e, v in lines("catalogue.facts"):
        transactions.setdefault(t, {}).setdefault(table_of(attribute), []).append((int(e), json.loads(v)))
    return list(transactions.values())


# Suites


def ask(suite, row, sql):
    """A query with the case's argument in it."""
    rows, argument = CASES[suite][row]
    if isinstance(argument, str):
        argument = "'" + argument.replace("'", "''") + "'"
    measure(suite, row, rows, database.query(sql.format(argument, join=database.JOIN_AS_WRITTEN)))


def people20k():
    load_people()
    for row, sql in PEOPLE.items():
        ask("people20k", row, sql)


def rules():
    for name in dict.fromkeys(row.rsplit("-", 1)[0] for row in CASES["rules"]):
        load_graph(name)
        for side, sql in CLOSURE.items():
            ask("rules", f"{name}-{side}", sql)


def debian():
    ids = load_graph("debian")
    for row, (rows, node) in CASES["debian"].items():
        measure("debian", row, rows, database.query(REACHABLE[row[:2]].format(ids[node])))


def mbrainz():
    catalogue_tables()
    for transaction in catalogue_transactions():
        for table, facts in transaction.items():
            database.insert(table, facts)
    database.analyze()
    for row, sql in CATALOGUE.items():
        ask("mbrainz", row, sql)


def reads():
    load_people()
    middle = len(PEOPLE_ROWS) // 2
    some = range(middle, middle + 2000)
    database.run("create table wanted(e integer)")
    database.insert("wanted", [(e,) for e in some])
    many = database.query("select n.e,n.v from wanted w join name n on n.e=w.e")
    measure("reads", "2000 as one pull-many", len(some), many)
    one = database.lookup("select v from name where e={}")
    measure("reads", "2000 queries", len(some), lambda: sum(one(e) for e in some))


def writes():
    everyone = len(PEOPLE_ROWS)
    facts = database.prepared(PEOPLE_FACTS)
    work("add-all", None, everyone, lambda: database.transact(facts))
    some = list(enumerate(PEOPLE_ROWS))[:: database.SHARE]
    work("add-5", everyone, len(some), lambda: database.rows_in_transactions(PERSON, some))
    work("add-1", len(PERSON) * everyone, len(some), lambda: database.rows_one_by_one(PERSON, some))
    transactions = [database.prepared(transaction) for transaction in catalogue_transactions()]
    facts, rates = len(lines("catalogue.facts")), []
    for _ in range(RUNS):
        catalogue_tables()
        started = time.perf_counter()
        for transaction in transactions:
            database.transact(transaction)
        rates.append(facts / (time.perf_counter() - started))
    line("writes", "import", rates, "datoms/s")


try:
    for suite in SUITES:
        {"people20k": people20k, "rules": rules, "debian": debian, "mbrainz": mbrainz, "reads": reads,
         "writes": writes}[suite]()
finally:
    database.close()
