#include "reward/code/python_harness.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {
namespace {

// Values on the way, in both directions: JSON's own for None, bool, str and list, and one-key maps for the rest.
constexpr const char* kWire = R"py(
import collections, json, os

LISTS = (list, collections.deque, type({}.keys()), type({}.values()), type({}.items()))

def to_wire(value, handle, depth=0):
    if depth > 200:
        raise TypeError("nested too deeply")
    again = lambda item: to_wire(item, handle, depth + 1)
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return {"i": hex(int(value))}
    if isinstance(value, float):
        return {"f": float.hex(float(value))}
    if isinstance(value, complex):
        return {"c": [complex(value).real.hex(), complex(value).imag.hex()]}
    if isinstance(value, (bytes, bytearray)):
        return {"b": bytes(value).hex()}
    if isinstance(value, LISTS):
        return [again(item) for item in value]
    if isinstance(value, tuple):
        return {"t": [again(item) for item in value]}
    if isinstance(value, set):
        return {"s": [again(item) for item in value]}
    if isinstance(value, frozenset):
        return {"z": [again(item) for item in value]}
    if isinstance(value, dict):
        return {"d": [[again(key), again(item)] for key, item in value.items()]}
    if isinstance(value, range):
        return {"r": [value.start, value.stop, value.step]}
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return again(value.tolist())
    return handle(value)

def from_wire(wire, handle):
    if wire is None or isinstance(wire, (bool, str)):
        return wire
    if isinstance(wire, list):
        return [from_wire(item, handle) for item in wire]
    ((kind, data),) = wire.items()
    if kind == "i":
        return int(data, 16)
    if kind == "f":
        return float.fromhex(data)
    if kind == "c":
        return complex(float.fromhex(data[0]), float.fromhex(data[1]))
    if kind == "b":
        return bytes.fromhex(data)
    if kind == "r":
        return range(*[int(item) for item in data])
    if kind == "o":
        return handle(data)
    if kind == "d":
        return {from_wire(key, handle): from_wire(item, handle) for key, item in data}
    items = [from_wire(item, handle) for item in data]
    return {"t": tuple, "s": set, "z": frozenset, "g": iter}[kind](items)

class Link:
    LIMIT = 8 << 20

    def __init__(self):
        self.waiting = b""

    def pack(self, message):
        line = (json.dumps(message) + "\n").encode()
        if len(line) > self.LIMIT:
            raise ValueError("a value of more than 8 MB")
        return line

    def send(self, line):
        while line:
            line = line[os.write(3, line):]

    def receive(self):
        parts, size = [self.waiting], len(self.waiting)
        while b"\n" not in parts[-1]:
            part = os.read(3, 1 << 16)
            size += len(part)
            if not part or size > self.LIMIT + (1 << 16):
                raise EOFError
            parts.append(part)
        line, self.waiting = b"".join(parts).split(b"\n", 1)
        return json.loads(line)
)py";

constexpr const char* kCandidate = R"py(
import itertools

link = Link()
objects = []

def keep(value):
    if hasattr(value, "__next__"):
        items = list(itertools.islice(value, 100001))
        if len(items) > 100000:
            raise ValueError("an iterator of more than 100000 items")
        return {"g": [to_wire(item, keep) for item in items]}
    objects.append(value)
    return {"o": len(objects) - 1}

def find(name):
    if name not in names and "Solution" in names and hasattr(names["Solution"], name):
        return getattr(names["Solution"](), name)
    if name not in names:
        raise NameError("the program defines no " + name)
    return names[name]

def answer(request):
    give = lambda wire: from_wire(wire, lambda number: objects[number])
    if "find" in request:
        value = find(request["find"])
    elif "name" in request:
        value = getattr(objects[request["object"]], request["name"])
    else:
        value = objects[request["object"]](*give(request["arguments"]), **give(request["named"]))
    return {"value": to_wire(value, keep)}

names = {"__name__": "candidate", "__builtins__": __builtins__}
failure = None
try:
    exec(compile(open("/box/main.py").read(), "main.py", "exec"), names)
except Exception as error:
    failure = error
while True:
    request = link.receive()
    try:
        if failure is not None:
            raise failure
        reply = link.pack(answer(request))
    except Exception as error:
        reply = link.pack({"error": type(error).__name__, "text": str(error)[:500]})
    link.send(reply)
)py";

constexpr const char* kChecker = R"py(
import ast, builtins, importlib, math, symtable, sys, time, types
from fractions import Fraction

# The test cannot be run, whatever the program is: nothing that the program says may lead here.
class Broken(BaseException):
    pass

class Lost(BaseException):
    pass

job = json.loads(sys.stdin.buffer.read())
link = Link()
asked = 0
heard = False  # anything but that a function is there
lost = None    # how the program lost, also where the test catches everything

def report(verdict, why=""):
    why = why[:1000].encode(errors="replace").decode()
    os.write(4, (job["nonce"] + " " + json.dumps([verdict, why]) + "\n").encode())
    os._exit(0)

def words(problem):
    try:
        return type(problem).__name__ + ": " + str(problem)
    except Exception:  # an integer may be too long for text
        return type(problem).__name__

def lose(verdict, why):
    global lost
    lost = lost or (verdict, why)
    raise Lost

# What cannot be given to the program. It is the test's own only if no answer can have made it so.
def refuse(why, own=False):
    if own or not heard:
        raise Broken(why)
    lose("unusable", why)

def of_the_test(value):
    if isinstance(value, types.FunctionType):
        return value.__code__.co_filename == "test"
    return (value if isinstance(value, type) else type(value)).__module__ == "test"

def no_handle(value):
    if isinstance(value, Remote):
        return {"o": value._number}
    if hasattr(value, "__next__"):  # what an earlier call gave
        return {"g": [to_wire(item, no_handle) for item in value]}
    refuse("the test gives the program a value of type " + type(value).__name__, of_the_test(value))

def given(arguments, named):
    return {"arguments": to_wire(list(arguments), no_handle), "named": to_wire(named, no_handle)}

def ask(request):
    global asked, heard
    try:
        line = link.pack(request)
    except Exception as problem:
        refuse("the test gives the program what cannot be sent (" + words(problem) + ")")
    asked += 1
    try:
        link.send(line)
        reply = link.receive()
        error = reply.get("error")
        value = None if error else from_wire(reply["value"], lambda number: Remote(int(number)))
        text = str(reply.get("text"))
    except Exception as problem:
        if isinstance(problem, (OSError, EOFError)):
            time.sleep(0.1)  # a program that dies closes its end a moment before its end can be told
        lose("fail", "the program gave no answer (" + type(problem).__name__ + ")")
    heard = heard or not ("find" in request and isinstance(value, Remote))
    if error is None:
        return value
    kind = getattr(builtins, error, None) if isinstance(error, str) else None
    # StopIteration would end a loop of the test as if all were well.
    usable = isinstance(kind, type) and issubclass(kind, Exception)
    if not usable or issubclass(kind, (StopIteration, StopAsyncIteration)):
        kind = RuntimeError
    try:
        problem = kind(text)
    except Exception:
        problem = RuntimeError(text)
    raise problem

def beyond(self, *_):
    lose("unusable", "the test needs data where the program gave an object, of which only methods can be called")

# An object of the program. It compares by identity and is true: nothing of the program's decides an == or an if.
class Remote:
    __setattr__ = __delattr__ = __len__ = __iter__ = __getitem__ = __setitem__ = __delitem__ = beyond

    def __init__(self, number):
        self.__dict__["_number"] = number

    def __bool__(self):
        return True

    def __call__(self, *arguments, **named):
        return ask({"object": self._number, **given(arguments, named)})

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return ask({"object": self._number, "name": name})

def function(name):
    def call(*arguments, **named):
        request = given(arguments, named)  # first, so that what the test does wrong shows before the program speaks
        found = ask({"find": name})
        if not isinstance(found, Remote):  # as Python says of add = 3
            raise TypeError("'" + type(found).__name__ + "' object is not callable")
        return ask({"object": found._number, **request})
    return call

# Modules that tests use without importing them, relying on the program's imports.
MODULES = ("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools",
           "json", "math", "operator", "random", "re", "string")

# What would run a text or bytes, and so perhaps the program's, in this process.
RUNNERS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "yaml"}

# A test that uses these is not judged. It is told by the test alone, before the program says anything.
def runner_of(node, own):
    if isinstance(node, ast.Name) and node.id in RUNNERS - own:
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name, part = node.value.id, node.attr
        if name in ("builtins", "__builtins__") and part in RUNNERS or name in LOADERS and part in ("load", "loads"):
            return name + "." + part

# eval("a text of the test") is the expression itself.
class Inline(ast.NodeTransformer):
    def visit_Call(self, node):
        constant = len(node.args) == 1 and not node.keywords and getattr(node.args[0], "value", None)
        if isinstance(node.func, ast.Name) and node.func.id == "eval" != job["entry_point"] and isinstance(constant, str):
            return self.visit(ast.parse(constant.strip(" \t"), mode="eval").body)
        return self.generic_visit(node)

def namespace_of(tree):
    used, own = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else own).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
    for runner in filter(None, (runner_of(node, own | {job["entry_point"]}) for node in ast.walk(tree))):
        raise Broken("the test uses " + runner + ", which could run here what the program gives")
    names = {"__name__": "test"}
    for name in used - own - (set(dir(builtins)) - {job["entry_point"]}):
        names[name] = importlib.import_module(name) if name in MODULES else function(name)
    return names

# Behind the first call no other way to run code is open either, such as a library's: imports and classes of data aside.
DOORS = ("exec", "function.__new__", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
TRUSTED = ("importlib._bootstrap", "_frozen_importlib", "collections", "dataclasses")

def guard(event, _):
    if asked and event in DOORS and not (event == "exec" and sys._getframe(1).f_globals.get("__name__") in TRUSTED):
        lose("unusable", "the test would run or unpickle what the program may have given (" + event + ")")

def run_script():
    tree = ast.fix_missing_locations(Inline().visit(ast.parse(job["script"])))
    names = {name.get_name(): name for name in symtable.symtable(job["script"], "test", "exec").get_symbols()}
    if job["entry_point"] and "check" in names and names["check"].is_assigned():  # HumanEval's form; others call by themselves
        tree.body += ast.parse("check(" + job["entry_point"] + ")").body
    exec(compile(tree, "test", "exec"), namespace_of(tree))

# JSON has lists only, so tuples count as lists here.
def alike(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        a, b = ({str(key): item for key, item in d.items()} for d in (a, b))
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if a == b or not (job["tolerance"] > 0 and isinstance(a, (int, float)) and isinstance(b, (int, float))):
        return a == b
    if any(isinstance(x, float) and not math.isfinite(x) for x in (a, b)):
        return False
    return abs(Fraction(a) - Fraction(b)) <= Fraction(str(job["tolerance"])) * max(1, abs(Fraction(b)))

def run_call():
    value = function(job["function"])(*job["arguments"])
    if hasattr(value, "__next__"):
        value = list(value)
    if not alike(value, job["expected"]):
        raise AssertionError("another answer than expected")

sys.addaudithook(guard)
verdict, why = "pass", ""
try:
    run_call() if "function" in job else run_script()
    if not asked:
        raise Broken("the test never calls the program")
except Broken as problem:
    verdict, why = "broken", str(problem)
except BaseException as problem:
    verdict, why = "fail" if asked else "broken", words(problem)
report(*(lost or (verdict, why)))
)py";

}  // namespace

SandboxRequest python_request(const std::string& program, const CodeCase& test, const Language& language,
                              const SandboxLimits& limits, double tolerance, const std::string& nonce) {
  const std::string& interpreter = language.run.front();
  const auto side = [&](const char* file, const char* code) {
    SandboxProgram side{.command = {interpreter, "-s", "-B", std::string("/box/") + file},
                        .files = {{file, std::string(kWire) + code}},
                        .binds = language.binds,
                        .environment = language.environment,
                        .limits = limits};
    return side;
  };
  SandboxRequest request{side("candidate.py", kCandidate), side("checker.py", kChecker)};
  request.program.files.push_back({"main.py", program});
  Json job = {{"nonce", nonce}, {"tolerance", tolerance}};
  if (test.kind == CodeCase::Kind::call) {
    job["function"] = test.function, job["arguments"] = test.arguments, job["expected"] = test.expected;
  } else {
    job["script"] = test.script, job["entry_point"] = test.function;
  }
  request.checker->input = dump_json(job);
  // The checker holds an answer of up to 8 MB in several forms, whatever the program may hold.
  request.checker->limits.memory_bytes = std::max(limits.memory_bytes, int64_t{512} << 20);
  return request;
}

PythonReport read_python_report(std::string_view report, const std::string& nonce) {
  if (!report.starts_with(nonce + " ") || !report.ends_with('\n')) return {};
  try {
    const Json line = parse_json(report.substr(nonce.size() + 1), "the checker's report");
    if (!line.is_array() || line.size() != 2 || !line[0].is_string() || !line[1].is_string()) return {};
    const std::string& verdict = line[0].get_ref<const std::string&>();
    using Verdict = PythonReport::Verdict;
    if (verdict == "pass") return {Verdict::pass, line[1]};
    if (verdict == "broken") return {Verdict::broken, line[1]};
    return {verdict == "unusable" ? Verdict::unusable : Verdict::fail, line[1]};
  } catch (const Error&) {
    return {};
  }
}

}  // namespace cohort
