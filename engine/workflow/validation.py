"""Checks of whole definitions: every problem is found in one go, with its place."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from engine.errors import DefinitionError
from engine.limits import FINDINGS_MAX
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.findings import Finding, Location, described, dotted, translated
from engine.workflow.graph import check_graph

if TYPE_CHECKING:
    from engine.registry import Registry


class InvalidDefinitionError(DefinitionError):
    """A definition has problems.

    Attributes:
        findings: The problems.
    """

    def __init__(self, source: str, findings: list[Finding]) -> None:
        self.findings = findings
        lines = "\n".join(f"  {finding}" for finding in findings)
        count = f"{len(findings)} problem{'s' if len(findings) > 1 else ''}"
        super().__init__(f"{source or 'The workflow definition'} has {count}:\n{lines}")


def validate(
    definition: WorkflowDefinition | object, registry: "Registry | None" = None, source: str = ""
) -> list[Finding]:
    """Return everything that is wrong with a definition; an empty list when it can run.

    Args:
        definition: The model, or data as read from a file.
        registry: Makes known the node types, functions and predicates of an application; without it only the built-in
            node types are known, and functions are not checked.
        source: Where the definition is from, for the findings.
    """
    return _checked(definition, registry, source)[1]


def require_valid(
    definition: WorkflowDefinition | object, registry: "Registry | None" = None, source: str = ""
) -> WorkflowDefinition:
    """Return the definition as a model; like `validate`.

    Raises:
        InvalidDefinitionError: It has problems; all are listed.
    """
    model, findings = _checked(definition, registry, source)
    if model is None or findings:
        raise InvalidDefinitionError(source, findings)
    return model


def _checked(
    definition: object, registry: "Registry | None", source: str
) -> tuple[WorkflowDefinition | None, list[Finding]]:
    model: WorkflowDefinition | None
    problems: list[tuple[Location, str]]
    if isinstance(definition, WorkflowDefinition):
        # Its data is validated anew: a model can be made without validation.
        data = definition.model_dump(warnings=False)
        model, problems = _modelled(data)
        if model == definition and model.version == definition.version:
            model = definition
    elif isinstance(definition, Mapping):
        data = dict(definition)
        model, problems = _modelled(data)
    else:
        message = f"expected an object with id, name and nodes, found {described(definition)}"
        return None, [Finding(source, "", "", message)]
    problems += check_graph(data, registry)
    # A problem may be found twice, by a model and by a check that reads what the model refused.
    findings = [_finding(source, data, location, message) for location, message in dict.fromkeys(problems)]
    if len(findings) > FINDINGS_MAX:
        findings[FINDINGS_MAX:] = [Finding(source, "", "", f"more than {FINDINGS_MAX} problems, the rest is not shown")]
    return model, findings


def _modelled(data: dict[str, object]) -> tuple[WorkflowDefinition | None, list[tuple[Location, str]]]:
    try:
        return WorkflowDefinition.model_validate(data, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, list(translated(error, WorkflowDefinition))


def _finding(source: str, data: Mapping[str, object], location: Location, message: str) -> Finding:
    match location:
        case ("nodes", int(index), *rest):
            nodes = data["nodes"]
            node = nodes[index] if isinstance(nodes, (list, tuple)) else None
            name = node.get("id") if isinstance(node, Mapping) else None
            return Finding(source, name if isinstance(name, str) else f"nodes[{index}]", dotted(rest), message)
        case _:
            return Finding(source, "", dotted(location), message)
