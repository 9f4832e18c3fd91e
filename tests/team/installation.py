"""What deploy/compose.yaml starts, as processes of this machine, by the same scripts and templates.

Only the images are missing: PostgreSQL is Debian's, the object store is moto's server, and
addresses are free ports of 127.0.0.1.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

from tests.team.permissions import permit
from tests.team.processes import Server, bare_environment, unused_ports
from tests.team.production import fill_production

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
TEMPLATE = DEPLOY / "nginx" / "studio.conf.template"
HOST = "127.0.0.1"
BUCKET = "team-test"
PEOPLE = {"anna": "trainer", "paul": "promoter"}
VARIABLE = re.compile(r"\$\{(\w+)\}")


def bin_folder() -> Path:
    """Return the newest folder of PostgreSQL's programs."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    assert folders, "PostgreSQL is missing"
    return folders[-1]


def as_postgres() -> list[str]:
    """Return what to put before a command of PostgreSQL, which root may not run."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def run(command: list[str], environment: Mapping[str, str], stdin: str = "") -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Installation:
    """All parts, each a `Server`: `postgres`, `s3`, `mlflow`, `apps` (two), `nginx`.

    Args:
        folder: for secrets, logs, and each person's home.
        database: for PostgreSQL, whose own user must be able to reach it.
    """

    def __init__(self, folder: Path, database: Path) -> None:
        self.folder, self.database = folder, database
        self.secrets, self.logs = folder / "secrets", folder / "logs"
        for path in (self.logs, folder / "root"):
            path.mkdir()
        self._environment = bare_environment(folder / "root") | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        run([str(DEPLOY / "make_secrets.sh"), str(self.secrets)], self._environment)
        self._make_certificate()
        self.passwords = {name: f"geheim-{name}-{token_hex(4)}" for name in PEOPLE}
        ports = unused_ports(7)
        self.https_port = ports[6]
        self.url = f"https://{HOST}:{self.https_port}"
        self.postgres = self._postgres(ports[0])
        self.s3 = self._s3(ports[1])
        self.mlflow = self._mlflow(ports[2])
        self.apps = [self._app(number, port) for number, port in enumerate(ports[3:5], start=1)]
        self.nginx = self._nginx(ports[5])

    def start(self, stack: ExitStack) -> None:
        """Start everything in the order of compose.yaml, with users and their permissions."""
        self._make_cluster()
        for server in (self.postgres, self.s3):
            stack.callback(server.kill)
            server.start()
        self._create_databases()
        for server in (self.mlflow, self.nginx):
            stack.callback(server.kill)
            server.start()
        permit(self.admin(), "setup")
        add_app = [sys.executable, str(DEPLOY / "permissions.py"), "add", "app", "reader"]
        run(add_app, self.admin(), self.secret("mlflow_app_password"))
        for app in self.apps:
            stack.callback(app.kill)
            app.launch()
        for name, role in PEOPLE.items():
            permit(self.admin(), "add", name, role, password=self.passwords[name])
        fill_production(self.admin())
        for app in self.apps:
            app.wait()

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text(encoding="utf-8").strip()

    def all_secrets(self) -> dict[str, str]:
        """Return what no log, page, link or error may hold, by name."""
        files = {path.name: path.read_text().strip() for path in self.secrets.iterdir()}
        hidden = {name: text for name, text in files.items() if name not in ("s3.json", "tls.crt")}
        return {**hidden, **self.passwords}

    def admin(self) -> dict[str, str]:
        """Return the environment of the administrator, inside, as compose.yaml's service admin."""
        return self._environment | {
            "MLFLOW_TRACKING_URI": f"http://{HOST}:{self.mlflow.port}/mlflow",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.secret("mlflow_admin_password"),
            "EXPRESSION_STUDIO_CANDIDATES": "1",
        }

    def person(self, name: str, *, by_netrc: bool = False) -> dict[str, str]:
        """Return the environment of somebody outside, with the password in it or in ~/.netrc."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = bare_environment(home) | {
            "MLFLOW_TRACKING_URI": f"{self.url}/mlflow",
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.certificate),
            "EXPRESSION_STUDIO_CANDIDATES": "1",
            "OMP_NUM_THREADS": "1",
        }
        if not by_netrc:
            login = {"USERNAME": name, "PASSWORD": self.passwords[name]}
            return environment | {f"MLFLOW_TRACKING_{key}": value for key, value in login.items()}
        netrc = home / ".netrc"
        netrc.touch(0o600)
        netrc.write_text(f"machine {HOST}\nlogin {name}\npassword {self.passwords[name]}\n")
        return environment

    def object_store(self) -> Any:
        """Return a client of the object store, with MLflow's keys."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://{HOST}:{self.s3.port}",
            region_name="us-east-1",
            aws_access_key_id=self.secret("s3_access_key"),
            aws_secret_access_key=self.secret("s3_secret_key"),
        )

    def stored(self, bucket: str = BUCKET) -> list[str]:
        """Return the names of a bucket's files."""
        pages = self.object_store().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    @property
    def certificate(self) -> Path:
        return self.secrets / "tls.crt"

    def nginx_configuration(self, http_port: int) -> str:
        """Return the template with the values of this installation, as nginx's image fills it."""
        values = {
            "PUBLIC_HOST": HOST,
            "HTTP_LISTEN": f"{HOST}:{http_port}",
            "HTTPS_LISTEN": f"{HOST}:{self.https_port}",
            "APP_1": f"{HOST}:{self.apps[0].port}",
            "APP_2": f"{HOST}:{self.apps[1].port}",
            "MLFLOW": f"{HOST}:{self.mlflow.port}",
            "TLS_CERTIFICATE": str(self.certificate),
            "TLS_KEY": str(self.secrets / "tls.key"),
        }
        return VARIABLE.sub(lambda found: values[found[1]], TEMPLATE.read_text(encoding="utf-8"))

    def _make_certificate(self) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"]
        command += ["-keyout", str(self.secrets / "tls.key"), "-out", str(self.certificate)]
        run(command, self._environment)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _postgres(self, port: int) -> Server:
        program = [str(bin_folder() / "postgres"), "-D", str(self.database / "data")]
        options = ["-h", HOST, "-p", str(port), "-k", str(self.database)]
        command = [*as_postgres(), *program, *options]
        return Server(command, port, self._log("postgres"), self._environment)

    def _make_cluster(self) -> None:
        password = self.database / "password"
        password.write_text(self.secret("postgres_password"))
        if os.geteuid() == 0:
            for path in (self.database, password):
                shutil.chown(path, "postgres", "postgres")
        command = [str(bin_folder() / "initdb"), "-D", str(self.database / "data")]
        command += ["--username", "postgres", "--auth", "scram-sha-256", "--pwfile", str(password)]
        run([*as_postgres(), *command, "--encoding", "UTF8"], self._environment)
        password.unlink()

    def _create_databases(self) -> None:
        variables = {
            "PGHOST": HOST,
            "PGPORT": str(self.postgres.port),
            "PGPASSWORD": self.secret("postgres_password"),
            "MLFLOW_DB_PASSWORD_FILE": str(self.secrets / "mlflow_db_password"),
            "PATH": f"{bin_folder()}:{self._environment['PATH']}",
        }
        script = DEPLOY / "postgres" / "create_databases.sh"
        run([str(script)], self._environment | variables)

    def _s3(self, port: int) -> Server:
        command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
        return Server(command, port, self._log("s3"), self._environment)

    def _mlflow(self, port: int) -> Server:
        files = {
            "PGPASSWORD_FILE": "mlflow_db_password",
            "AWS_ACCESS_KEY_ID_FILE": "s3_access_key",
            "AWS_SECRET_ACCESS_KEY_FILE": "s3_secret_key",
            "MLFLOW_AUTH_ADMIN_PASSWORD_FILE": "mlflow_admin_password",
            "MLFLOW_FLASK_SERVER_SECRET_KEY_FILE": "mlflow_flask_key",
        }
        environment = {
            "PUBLIC_HOST": HOST,
            "PGHOST": HOST,
            "PGPORT": str(self.postgres.port),
            "MLFLOW_HOST": HOST,
            "MLFLOW_PORT": str(port),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_S3_ENDPOINT_URL": f"http://{HOST}:{self.s3.port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "S3_BUCKET": BUCKET,
            **{name: str(self.secrets / file) for name, file in files.items()},
        }
        script = DEPLOY / "mlflow" / "start.sh"
        return Server([str(script)], port, self._log("mlflow"), self._environment, environment)

    def _app(self, number: int, port: int) -> Server:
        home = self.folder / f"app-{number}"
        home.mkdir()
        environment = {
            "HOME": str(home),
            "TMPDIR": str(home),
            "MLFLOW_TRACKING_URI": f"http://{HOST}:{self.mlflow.port}/mlflow",
            "MLFLOW_TRACKING_USERNAME": "app",
            "MLFLOW_TRACKING_PASSWORD_FILE": str(self.secrets / "mlflow_app_password"),
            "EXPRESSION_STUDIO_CANDIDATES": "1",
            "EXPRESSION_STUDIO_MLFLOW_URL": f"{self.url}/mlflow",
            "GRADIO_ROOT_PATH": f"{self.url}/studio",
            "GRADIO_SERVER_NAME": HOST,
            "GRADIO_SERVER_PORT": str(port),
            "PYTHONUNBUFFERED": "1",
        }
        script = DEPLOY / "app" / "start.sh"
        log = self._log(f"app-{number}")
        return Server([str(script)], port, log, self._environment, environment)

    def _nginx(self, http_port: int) -> Server:
        prefix = self.folder / "nginx"
        prefix.mkdir()
        (prefix / "default.conf").write_text(self.nginx_configuration(http_port))
        paths = "".join(
            f"{kind}_temp_path {prefix}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (prefix / "nginx.conf").write_text(
            f"pid {prefix}/pid; daemon off; error_log {self._log('nginx-errors')};\n"
            f"events {{}}\nhttp {{ access_log {self._log('nginx-access')}; {paths}\n"
            f"include {prefix}/default.conf; }}\n"
        )
        command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(prefix)]
        self.nginx_command = [*command, "-c", str(prefix / "nginx.conf")]
        log = self._log("nginx")
        return Server(self.nginx_command, self.https_port, log, self._environment)


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Start everything; end it, and delete the database, when the block ends."""
    database = Path(mkdtemp(prefix="postgres-"))
    try:
        with ExitStack() as stack:
            installation = Installation(folder, database)
            installation.start(stack)
            yield installation
    finally:
        shutil.rmtree(database)
