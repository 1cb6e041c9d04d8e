"""What the state tests stand on: folders, servers as processes, their HTTP API, DuckDB files read without Granary, and a
private PostgreSQL. Whatever is started is ended by its own process id, whatever is written is removed, also when a test
fails. Python's standard library alone."""
import atexit
import ctypes
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPO = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BINARY = os.path.abspath(os.environ.get("GRANARY_BIN") or os.path.join(REPO, "build/release/granary"))
FAULTS = os.path.abspath(os.environ.get("GRANARY_FAULTS_BIN") or os.path.join(REPO, "build/faults/granary"))
PATIENCE = float(os.environ.get("GRANARY_TEST_PATIENCE", "1"))  # limits on time are multiplied by this

_processes, _folders = set(), set()


def _clean_up():
    for process in list(_processes):
        try:
            process.kill()
            process.wait()
        except OSError:
            pass
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_clean_up)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Failure(Exception):
    """A test that does not hold."""


def check(is_so, text):
    if not is_so:
        raise Failure(text)


def until(what, ask, seconds=10.0, pause=0.01):
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = ask()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s in vain for {what}")
        time.sleep(pause)


def make_folder():
    folder = tempfile.mkdtemp(prefix="granary-state-")
    os.chmod(folder, 0o755)
    _folders.add(folder)
    return folder


def drop_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
    _folders.discard(folder)


def write(folder, name, text):
    """In one step, as an editor does it: a reader sees the old file or the new one."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


# ---- answers -------------------------------------------------------------------------------------------------------

class Answer:
    def __init__(self, status, text):
        self.status, self.text = status, text
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = None

    @property
    def id(self):
        """The error's stable id, in either API's form."""
        if not isinstance(self.body, dict):
            return None
        errors = self.body.get("errors") or [{}]
        return self.body.get("id") or (errors[0].get("debug") or {}).get("id")

    def __repr__(self):
        told = self.body if isinstance(self.body, dict) else {}
        if "grain_hash" in told:
            return f"{self.status} entity {told['id']}, {told['status']}, {told['measures']}, {told['served_build']}"
        return f"{self.status} {self.text[:600]}"


class Gone(Exception):
    """The server does not answer: it was killed."""


class Server:
    """One `granary serve` in a folder. `state`: its storage.path; `env`: of its own, such as GRANARY_FAULT."""

    def __init__(self, folder, binary=None, config="granary.yml", state=".granary", env=None):
        self.folder, self.binary = folder, binary or BINARY
        self.config, self.state, self.env = config, state, env or {}
        self.process = self.connection = self.log = None

    # -- life

    def launch(self, env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GRANARY_", "CUBEJS_")) and k != "PORT"}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [self.binary, "serve", "-c", os.path.join(self.folder, self.config), "--port", "0"], cwd=self.folder,
            env={**clean, **self.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        _processes.add(self.process)

    def start(self, env=None):
        self.launch(env)
        path = os.path.join(self.folder, self.state, "server.json")

        def listening():
            if self.process.poll() is not None:
                raise Failure(f"serve ended with {self.process.returncode}: {self.said()}")
            try:
                with open(path, encoding="utf-8") as file:
                    info = json.load(file)
            except (OSError, ValueError):
                return None
            return info if info["pid"] == self.process.pid else None

        info = until("the server to listen", listening, 20, 0.002)
        self.port = int(info["url"].rsplit(":", 1)[1].strip("/"))
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-8000:]

    def refuses_to_start(self, env=None):
        """Its log, once it has ended by itself with an error."""
        self.launch(env)
        try:
            code = self.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure("the server started, and should have refused") from None
        self.forget()
        check(code not in (0, None) and code > 0, f"the server ended with {code}: {self.said()}")
        return self.said()

    def forget(self):
        _processes.discard(self.process)
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        self.close()
        if not self.is_alive():
            return
        self.process.terminate()
        try:
            self.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"the server did not end after SIGTERM: {self.said()}") from None
        self.forget()
        check(self.process.returncode == 0, f"the server ended with {self.process.returncode}: {self.said()}")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.forget()

    def died(self, seconds=20.0):
        """Waits for an end that a fault made."""
        try:
            self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        self.forget()
        return True

    # -- calls

    def call(self, method, path, body=None, timeout=60.0):
        text = None if body is None else json.dumps(body)
        for attempt in (0, 1):
            fresh = self.connection is None
            try:
                if fresh:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * PATIENCE)
                self.connection.request(method, path, text, {"content-type": "application/json"} if text else {})
                answer = self.connection.getresponse()
                return Answer(answer.status, answer.read().decode())
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh or attempt or not self.is_alive():  # an idle connection may have been closed meanwhile
                    raise Gone(f"{method} {path}: {error!r}") from None

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, {} if body is None else body)

    def good(self, method, path, body=None):
        answer = self.call(method, path, body)
        check(answer.status < 300, f"{method} {path} {json.dumps(body)}: {answer}")
        return answer.body

    def load(self, query):
        while True:
            answer = self.post("/cubejs-api/v1/load", {"query": query})
            if not (isinstance(answer.body, dict) and answer.body.get("error") == "Continue wait"):
                return answer

    def entities(self, params=""):
        items, offset = [], 0
        while True:
            page = self.good("GET", f"/pre-aggregations/?limit=100&offset={offset}{params}")
            items += page["items"]
            offset += 100
            if offset >= page["total"]:
                check(len(items) == page["total"], f"the pages hold {len(items)} entities of {page['total']}")
                return items

    def entity(self, entity_id):
        return self.good("GET", f"/pre-aggregations/{entity_id}")

    def builds(self, entity_id):
        return self.good("GET", f"/pre-aggregations/{entity_id}/builds?limit=100")

    def settled(self, entity_id, seconds=20.0):
        """The entity once it is not `materializing` any more."""
        def ask():
            row = self.entity(entity_id)
            return row if row["status"] != "materializing" else None

        return until(f"entity {entity_id} to leave `materializing`", ask, seconds)


def served_by(answer):
    """[{id, version, preAggregationId, …}] of what served a load."""
    return list((answer.body.get("usedPreAggregations") or {}).values())


# ---- DuckDB files --------------------------------------------------------------------------------------------------

class _Result(ctypes.Structure):
    _fields_ = [("columns", ctypes.c_uint64), ("rows", ctypes.c_uint64), ("changed", ctypes.c_uint64),
                ("column_data", ctypes.c_void_p), ("message", ctypes.c_char_p), ("internal", ctypes.c_void_p)]


class DuckFile:
    """A database file, read-only, through the library that Granary is linked to."""
    lib = None

    def __init__(self, path):
        if DuckFile.lib is None:
            found = glob.glob(os.path.join(REPO, "node_modules/@duckdb/node-bindings-linux-*/libduckdb.so"))
            check(found, "libduckdb.so is missing: scripts/setup")
            lib = DuckFile.lib = ctypes.CDLL(found[0])
            lib.duckdb_value_varchar.restype = ctypes.c_void_p
            lib.duckdb_value_varchar.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
            lib.duckdb_column_name.restype = ctypes.c_char_p
            lib.duckdb_column_name.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
            lib.duckdb_result_error.restype = ctypes.c_char_p
            lib.duckdb_free.argtypes = [ctypes.c_void_p]
            for name in ("duckdb_column_count", "duckdb_row_count"):
                getattr(lib, name).restype = ctypes.c_uint64
        lib, self.db, self.connection = DuckFile.lib, ctypes.c_void_p(), ctypes.c_void_p()
        config, message = ctypes.c_void_p(), ctypes.c_char_p()
        lib.duckdb_create_config(ctypes.byref(config))
        lib.duckdb_set_config(config, b"access_mode", b"READ_ONLY")
        lib.duckdb_set_config(config, b"threads", b"1")
        failed = lib.duckdb_open_ext(path.encode(), ctypes.byref(self.db), config, ctypes.byref(message))
        lib.duckdb_destroy_config(ctypes.byref(config))
        check(not failed, f"{path} cannot be opened: {message.value}")
        lib.duckdb_connect(self.db, ctypes.byref(self.connection))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        DuckFile.lib.duckdb_disconnect(ctypes.byref(self.connection))
        DuckFile.lib.duckdb_close(ctypes.byref(self.db))

    def rows(self, sql):
        """Rows as dicts of texts; None for NULL."""
        lib, result = DuckFile.lib, _Result()
        at = ctypes.byref(result)
        try:
            if lib.duckdb_query(self.connection, sql.encode(), at):
                raise Failure(f"{sql}: {(lib.duckdb_result_error(at) or b'').decode()}")
            names = [lib.duckdb_column_name(at, c).decode() for c in range(lib.duckdb_column_count(at))]
            return [{name: self._value(at, c, r) for c, name in enumerate(names)}
                    for r in range(lib.duckdb_row_count(at))]
        finally:
            lib.duckdb_destroy_result(at)

    @staticmethod
    def _value(at, column, row):
        pointer = DuckFile.lib.duckdb_value_varchar(at, column, row)
        if not pointer:
            return None
        text = ctypes.string_at(pointer).decode()
        DuckFile.lib.duckdb_free(pointer)
        return text


def stored_tables(store, shared):
    """Rollup tables of a store that no server has open: {name: [rows]}. `shared`: a folder of files, one for each."""
    if shared:
        tables = {}
        for path in glob.glob(os.path.join(store, "*")):
            name = os.path.basename(path)
            check(name.endswith(".duckdb"), f"a stray file in the shared store: {name}")
            with DuckFile(path) as file:
                tables[name[:-len(".duckdb")]] = file.rows(f'SELECT * FROM "{name[:-len(".duckdb")]}"')
        return tables
    if not os.path.exists(store):
        return {}
    with DuckFile(store) as file:
        names = [row["name"] for row in file.rows("SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal")]
        return {name: file.rows(f'SELECT * FROM "{name}"') for name in names}


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------

class Postgres:
    """A server of our own, by tests/postgres/private. Postgres.start() is None where none is installed."""
    SCRIPT = os.path.join(REPO, "tests/postgres/private")

    @classmethod
    def start(cls):
        self = cls()
        self.folder = make_folder()
        made = subprocess.run([self.SCRIPT, "start", self.folder], capture_output=True, text=True, check=False)
        if made.returncode == 77:
            drop_folder(self.folder)
            return None
        check(made.returncode == 0, f"PostgreSQL did not start: {made.stderr}")
        self.conninfo = made.stdout.strip()
        self.port = int(dict(part.split("=") for part in self.conninfo.split())["port"])
        atexit.unregister(_clean_up)  # the folder goes after the server
        atexit.register(_clean_up)
        atexit.register(self.stop)
        return self

    def stop(self):
        subprocess.run([self.SCRIPT, "stop", self.folder], check=False, stderr=subprocess.DEVNULL)

    def again(self):
        """After stop(): the same server, at the same port."""
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        bin_dir = os.environ.get("GRANARY_POSTGRES_BIN") or binaries[-1]
        command = [f"{bin_dir}/pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", f"-p {self.port}",
                   "-w", "-t", "30", "start"]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sql(self, text):
        """Rows as lists of texts."""
        made = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                               "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-c", text],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"})
        check(made.returncode == 0, f"psql: {text}: {made.stderr}")
        return [line.split("\x1f") for line in made.stdout.splitlines()]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- suites --------------------------------------------------------------------------------------------------------

class Suite:
    """Named tests, each a function; what fails is told, and the others go on."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped = name, 0, 0, 0

    def run(self, title, test):
        began = time.monotonic()
        try:
            test()
        except (Failure, Gone, OSError, subprocess.SubprocessError, KeyError, IndexError, TypeError) as error:
            self.failed += 1
            where = error.__traceback__
            while where.tb_next and where.tb_next.tb_frame.f_code.co_filename != __file__:
                where = where.tb_next
            place = f"{os.path.basename(where.tb_frame.f_code.co_filename)}:{where.tb_lineno}"
            print(f"not ok: {self.name}: {title} ({place})\n    {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {self.name}: {title} ({time.monotonic() - began:.1f} s)", flush=True)

    def skip(self, title, why):
        self.skipped += 1
        print(f"skipped: {self.name}: {title}: {why}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)
