import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest

from engine.application import load_application
from engine.call import Call
from engine.context import ContextObject
from engine.context.values import WireObject
from engine.errors import ApplicationError, RegistryError
from engine.nodes.node_type import Configuration, NodeType, Step, Work
from engine.nodes.start import Start
from engine.registry import Registry


def plain(context: ContextObject, call: Call) -> None:
    context.set("node", call.node_id)


async def plain_async(context: ContextObject, call: Call) -> None:
    context.set("node", call.node_id)


class Callables:
    def method(self, context: ContextObject, call: Call) -> None:
        context.set("node", call.node_id)

    async def __call__(self, context: ContextObject, call: Call) -> None:
        context.set("node", call.node_id)


def test_a_decorator_gives_the_function_back_as_it_was() -> None:
    registry = Registry()
    assert registry.node("f")(plain) is plain
    assert registry.function("f") == ("f", plain, False)


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (plain, False),
        (plain_async, True),
        (Callables().method, False),
        (Callables(), True),
        (partial(plain_async), True),
        (lambda context, call: None, False),  # noqa: ARG005 - takes what it must take
        (lambda *arguments: None, False),  # noqa: ARG005 - the same
        (lambda context, call, more=1: None, False),  # noqa: ARG005 - the same
    ],
)
def test_every_kind_of_function_is_recognised_as_sync_or_async(function: object, *, is_async: bool) -> None:
    registry = Registry()
    registry.node("f")(function)  # type: ignore[type-var]
    assert registry.function("f").is_async is is_async


def generator(context: ContextObject, call: Call) -> Generator[object]:
    yield context, call


async def async_generator(context: ContextObject, call: Call) -> object:
    yield context, call


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda: None, r"takes \(context, call\) for 'f', found \(\)"),
        (lambda context: None, r"found \(context\)"),  # noqa: ARG005 - takes too few
        (lambda context, call, more: None, "missing a required argument: 'more'"),  # noqa: ARG005 - takes too many
        (lambda context, *, call: None, "too many positional"),  # noqa: ARG005 - takes no two positional ones
        (generator, "generator function"),
        (async_generator, "generator function"),
        ("text", "found str"),
    ],
)
def test_a_function_that_could_not_be_called_is_refused_at_registration(function: object, problem: str) -> None:
    with pytest.raises(RegistryError, match=problem):
        Registry().node("f")(function)  # type: ignore[type-var]


def test_a_predicate_takes_the_context_alone() -> None:
    registry = Registry()

    @registry.predicate("p")
    def p(context: ContextObject) -> bool:
        return len(context) > 0

    assert registry.find_predicate("p") == ("p", p, False)
    with pytest.raises(RegistryError, match=r"takes \(context\) for 'q'"):
        registry.predicate("q")(plain)  # type: ignore[type-var]


def test_names_are_taken_once_for_each_kind() -> None:
    registry = Registry()
    registry.node("x")(plain)
    registry.predicate("x")(lambda context: context is None)
    with pytest.raises(RegistryError, match="function 'x' is registered twice"):
        registry.node("x")(plain_async)
    with pytest.raises(RegistryError, match="predicate 'x' is registered twice"):
        registry.predicate("x")(lambda context: context is None)
    with pytest.raises(RegistryError, match="node type 'start' is registered twice"):
        registry.node_type(Start)
    assert registry.function("x").function is plain


@pytest.mark.parametrize("name", ["", ".x", "a b", "x" * 201])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="Expected a name of 1 to 200 letters"):
        Registry().node(name)(plain)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    registry = Registry()
    registry.node("answer")(plain)
    with pytest.raises(RegistryError, match=r"there are: answer; did you mean 'answer'[?]"):
        registry.function("answr")
    with pytest.raises(RegistryError, match="there are: none"):
        registry.find_predicate("answr")
    with pytest.raises(RegistryError, match="there are: start, end, code, edit, switch"):
        registry.find_node_type("x")


def test_every_built_in_node_type_is_there() -> None:
    names = [node_type.name for node_type in Registry().node_types]
    assert names[:5] == ["start", "end", "code", "edit", "switch"]
    assert all(Registry().find_node_type(name).name == name for name in names)


class Nameless(NodeType[Configuration]):
    configuration = Configuration

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - as in the base
        return Work()


class Unconfigured(NodeType[Configuration]):
    name = "unconfigured"

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - as in the base
        return Work()


class Undecided(NodeType[Configuration]):
    name = "undecided"
    configuration = Configuration


@pytest.mark.parametrize(
    ("node_type", "problem"),
    [(Nameless, "'name'"), (Unconfigured, "'configuration'"), (Undecided, "'decide'"), (5, "found int")],
)
def test_an_unfinished_node_type_is_refused(node_type: object, problem: str) -> None:
    with pytest.raises(RegistryError, match=problem):
        Registry().node_type(node_type)  # type: ignore[arg-type]


APPLICATION = """
from engine.registry import Registry
registry = Registry()
other = 5

class holder:
    inner = registry

@registry.node("answer")
def answer(context, call):
    context.set("a", 1)
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


def test_an_application_is_loaded_from_the_working_directory(directory: Path) -> None:
    (directory / "shop_flows.py").write_text(APPLICATION)
    assert load_application("shop_flows:registry").function("answer").name == "answer"
    assert load_application("shop_flows:holder.inner") is load_application("shop_flows:registry")
    assert sys.path[-1] == str(directory)


def test_an_application_is_loaded_from_a_file_once(directory: Path) -> None:
    folder = directory / "some folder.x"
    folder.mkdir()
    (folder / "app-1.py").write_text(f"from helper_of_app import NAME\n{APPLICATION}")
    (folder / "helper_of_app.py").write_text("NAME = 1")
    first = load_application("some folder.x/app-1.py:registry")
    assert first.function("answer").name == "answer"
    assert load_application(f"{folder}/app-1.py:registry") is first


def test_a_module_of_python_is_not_replaced_by_a_file_of_the_directory(directory: Path) -> None:
    (directory / "colorsys.py").write_text(APPLICATION)
    with pytest.raises(ApplicationError, match="no attribute 'registry'"):
        load_application("colorsys:registry")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("app", "module:attribute"),
        (":registry", "module:attribute"),
        ("app:", "module:attribute"),
        ("no_such_app:registry", "There is no module 'no_such_app'"),
        ("app.inner:registry", "There is no module 'app.inner'"),
        ("gone/app.py:registry", "There is no file"),
        ("app:regstry", "no attribute 'regstry'; did you mean 'registry'?"),
        ("app:other", "Expected a Registry at app:other, found int"),
        ("..app:registry", "app"),
        ("broken:registry", "Importing the application broken failed: ZeroDivisionError"),
        ("broken.py:registry", "Importing the application broken.py failed: ZeroDivisionError"),
        ("needs:registry", "failed: ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("syntax:registry", "failed: SyntaxError"),
    ],
)
def test_an_application_that_cannot_be_loaded_is_explained(directory: Path, name: str, problem: str) -> None:
    (directory / "app.py").write_text(APPLICATION)
    (directory / "broken.py").write_text("1 / 0")
    (directory / "needs.py").write_text("import no_such_dependency")
    (directory / "syntax.py").write_text("def")
    with pytest.raises(ApplicationError) as caught:
        load_application(name)
    assert problem in str(caught.value)
    assert caught.value.hint


def test_an_error_inside_the_application_is_the_cause(directory: Path) -> None:
    (directory / "broken.py").write_text("1 / 0")
    with pytest.raises(ApplicationError) as caught:
        load_application("broken:registry")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


TWICE = """
from engine import Registry
registry = Registry()
for _ in range(2):
    registry.node("a")(print)
"""
PLACES = {
    "twice": (TWICE, "RegistryError", ("twice.py", 5)),
    "syntax": ("x = 1\ndef\n", "SyntaxError", ("syntax.py", 2)),
    "inner": ("import syntax\n", "SyntaxError", ("syntax.py", 2)),
    "compiled": ("\neval('1 +')\n", "SyntaxError", ("compiled.py", 2)),
    "library": ("import json\njson.loads('{')\n", "JSONDecodeError", ("library.py", 2)),
    "helped": ("import helper_that_fails\n", "ZeroDivisionError", ("helper_that_fails.py", 3)),
    "leaving": ("import sys\nsys.exit('no database')\n", "SystemExit: no database", ("leaving.py", 2)),
}


@pytest.mark.parametrize("form", ["{}:registry", "{}.py:registry"])
@pytest.mark.parametrize("name", PLACES)
def test_an_error_inside_the_application_is_placed_in_the_users_own_file(directory: Path, name: str, form: str) -> None:
    for other, (text, _, _) in PLACES.items():
        (directory / f"{other}.py").write_text(text)
    (directory / "helper_that_fails.py").write_text("\n\n1 / 0\n")
    _, problem, (file, line) = PLACES[name]
    for _ in range(2):
        with pytest.raises(ApplicationError, match=problem) as caught:
            load_application(form.format(name))
        assert caught.value.hint == f"It was raised at {directory / file}, line {line}."


def test_an_error_inside_an_installed_application_is_placed_there(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = directory / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed_app.py").write_text(TWICE)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    with pytest.raises(ApplicationError) as caught:
        load_application("installed_app:registry")
    assert caught.value.hint == f"It was raised at {packages / 'installed_app.py'}, line 5."


def test_an_application_that_leaves_at_its_import_can_be_loaded_when_it_does_not_any_more(directory: Path) -> None:
    (directory / "app.py").write_text("raise SystemExit(3)")
    with pytest.raises(ApplicationError, match="SystemExit: 3"):
        load_application("app.py:registry")
    (directory / "app.py").write_text(APPLICATION)
    assert load_application("app.py:registry").function("answer").name == "answer"


def test_a_file_name_that_no_file_can_have_is_one_that_is_not_there(directory: Path) -> None:
    with pytest.raises(ApplicationError, match="There is no file"):
        load_application(f"{directory / (300 * 'x')}.py:registry")
