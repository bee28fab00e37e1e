"""Checks that print a line each, and the programs that they run."""
import concurrent.futures
import json
import os
import subprocess
import threading
import time


class Skip(Exception):
    pass


class Checks:
    def __init__(self, bundle, out, budget, device):
        self.bundle, self.out, self.device = bundle, out, device
        self.deadline = time.monotonic() + budget
        self.results = []
        self.lock = threading.Lock()
        self.log = open(out / "log.txt", "w")

    def say(self, text):
        with self.lock:  # checks that run together keep their lines apart
            print(text, flush=True)
            self.log.write(text + "\n")
            self.log.flush()

    def record(self, status, name, detail, **numbers):
        self.results.append({"status": status, "name": name, "detail": detail, **numbers})
        self.say(f"{status} {name}: {detail}")

    def check(self, name, body):
        """body() returns (passed, detail) or (passed, detail, numbers); anything it throws is a failure."""
        begin = time.monotonic()
        try:
            passed, detail, *numbers = body()
            self.record("PASS" if passed else "FAIL", name, f"{detail} ({time.monotonic() - begin:.1f} s)",
                        **(numbers[0] if numbers else {}))
        except Skip as reason:
            self.record("SKIP", name, str(reason))
        except Exception as error:
            self.record("FAIL", name, f"{type(error).__name__}: {error}")

    def together(self, named):
        """Checks that time nothing: several at once."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, body in named:
                pool.submit(self.check, name, body)

    def run(self, *command, **environment):
        left = self.deadline - time.monotonic()
        if left < 5:
            raise Skip("no time left")
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=left,
                              env={**os.environ, **environment})
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise RuntimeError(f"exit {done.returncode}: {' | '.join(lines[-4:])}")
        return done.stdout

    def nanort(self, command, plan, *arguments, **environment):
        return self.run(self.bundle / "bin/nanort", command, plan, "-q", *arguments, **environment)

    def generate(self, plan, *arguments, device=None, **environment):
        return json.loads(self.nanort("run", plan, "--device", device or self.device, "--json", *arguments, **environment))

    def evaluate(self, plan, ids, *arguments):
        return json.loads(self.nanort("eval", plan, "--device", self.device, "--ids", ids, "--json", *arguments))
