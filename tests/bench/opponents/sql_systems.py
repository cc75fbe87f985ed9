"""SQLite, DuckDB and PostgreSQL behind one interface, for sql.py.

`query` prepares a statement and answers a function that runs it to its last row and answers how many rows there were.
"""

import os
import subprocess


class Database:
    """What is the same in all three."""

    INTEGER = "bigint"
    # Whether joins run in the order that they are written in can be said in SQLite only.
    JOIN_AS_WRITTEN = "join"
    # Of the people that are written one by one every so many-th is; times are scaled.
    SHARE = 1

    def table(self, name, kind, many, by_value):
        """A new table of facts, entity and value, with the indexes that an attribute of this kind has."""
        self.run(f"drop table if exists {name}")
        key = "" if many else "primary key"
        kind = self.INTEGER if kind == "integer" else kind
        self.run(f"create table {name}(e {self.INTEGER} {key}, v {kind})")
        if many:
            self.run(f"create index {name}_e on {name}(e,v)")
        if by_value:
            self.run(f"create index {name}_v on {name}(v,e)")

    def value(self, sql):
        return self.run(sql).fetchone()[0]

    def analyze(self):
        self.run("analyze")

    def prepared(self, facts):
        """Facts by table in the form that `transact` takes them soonest."""
        return facts

    def transact(self, facts):
        self.run("begin")
        for table, rows in facts.items():
            self.insert(table, rows)
        self.run("commit")

    def rows_in_transactions(self, tables, rows):
        """A transaction a row, of its value in each table."""
        inserts = [self.inserter(table) for table in tables]
        for e, row in rows:
            self.run("begin")
            for insert, value in zip(inserts, row):
                insert(e, value)
            self.run("commit")

    def rows_one_by_one(self, tables, rows):
        """A transaction a value."""
        inserts = [self.inserter(table) for table in tables]
        for e, row in rows:
            for insert, value in zip(inserts, row):
                insert(e, value)

    def close(self):
        pass


class Sqlite(Database):
    """In memory. Python keeps statements prepared; its rows are tuples."""

    # Only so is an entity the table's own key.
    INTEGER = "integer"
    JOIN_AS_WRITTEN = "cross join"

    def __init__(self):
        import sqlite3

        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1000)
        self.run = self.connection.execute

    def insert(self, table, rows):
        self.connection.executemany(f"insert into {table} values ({','.join('?' * len(rows[0]))})", rows)

    def inserter(self, table):
        sql = f"insert into {table} values (?,?)"
        return lambda e, v: self.run(sql, (e, v))

    def query(self, sql):
        return lambda: len(self.run(sql).fetchall())

    def lookup(self, sql):
        sql = sql.format("?")
        return lambda e: len(self.run(sql, (e,)).fetchall())


class Duckdb(Database):
    """In memory, one thread. Rows are fetched as NumPy's columns."""

    # A transaction of one row takes it a thousand times as long as one of many does a row.
    SHARE = 20

    def __init__(self):
        import duckdb
        import pyarrow

        self.arrow = pyarrow
        self.connection = duckdb.connect()
        self.run = self.connection.execute
        self.run("set threads=1")
        self.statements = 0

    def columns(self, rows):
        return self.arrow.table([self.arrow.array(column) for column in zip(*rows)],
                                names=[f"c{i}" for i in range(len(rows[0]))])

    def prepared(self, facts):
        return {table: self.columns(rows) for table, rows in facts.items()}

    def insert(self, table, rows):
        incoming = rows if isinstance(rows, self.arrow.Table) else self.columns(rows)
        self.connection.register("incoming", incoming)
        self.run(f"insert into {table} select * from incoming")
        self.connection.unregister("incoming")

    def inserter(self, table):
        sql = f"insert into {table} values (?,?)"
        return lambda e, v: self.run(sql, (e, v))

    def prepare(self, sql):
        self.statements += 1
        name = f"statement_{self.statements}"
        self.run(f"prepare {name} as {sql}")
        return f"execute {name}"

    def query(self, sql):
        execute = self.prepare(sql)
        return lambda: len(next(iter(self.run(execute).fetchnumpy().values())))

    def lookup(self, sql):
        execute = self.prepare(sql.format("?"))
        return lambda e: len(self.run(f"{execute}({e})").fetchall())


class Postgres(Database):
    """A server of its own on a socket in $SCRATCH, without syncing; statements prepared, rows in binary."""

    def __init__(self):
        import psycopg

        programs, self.folder = os.environ["POSTGRES"], os.environ["SCRATCH"]
        self.as_user = []
        if os.geteuid() == 0:
            # The server refuses to run as root.
            self.as_user = ["runuser", "-u", "nobody", "--"]
            subprocess.run(["chown", "nobody", self.folder], check=True)
        self.control = [*self.as_user, f"{programs}/pg_ctl", "-D", f"{self.folder}/d", "-w", "-s"]
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": self.folder}
        subprocess.run([*self.as_user, f"{programs}/initdb", "-D", f"{self.folder}/d", "-A", "trust", "-U", "bench",
                        "-E", "UTF8"], **quiet)
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c shared_buffers=512MB"
        subprocess.run([*self.control, "-l", f"{self.folder}/log", "-o", options, "start"], **quiet)
        self.connection = psycopg.connect(
            host=self.folder, user="bench", dbname="postgres", autocommit=True, prepare_threshold=0
        )
        self.cursor = self.connection.cursor(binary=True)
        self.run = self.cursor.execute
        self.run("set max_parallel_workers_per_gather=0")

    def insert(self, table, rows):
        with self.connection.cursor().copy(f"copy {table} from stdin") as copy:
            for row in rows:
                copy.write_row(row)

    def inserter(self, table):
        sql = f"insert into {table} values (%s,%s)"
        return lambda e, v: self.run(sql, (e, v))

    def query(self, sql):
        return lambda: len(self.run(sql).fetchall())

    def lookup(self, sql):
        sql = sql.format("%s")
        return lambda e: len(self.run(sql, (e,)).fetchall())

    def close(self):
        self.connection.close()
        subprocess.run([*self.control, "-m", "immediate", "stop"], check=False, stdout=subprocess.DEVNULL)


SYSTEMS = {"sqlite": Sqlite, "duckdb": Duckdb, "postgres": Postgres}
