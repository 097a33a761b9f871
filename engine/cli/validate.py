"""`validate`: everything that is wrong with a workflow file, at once."""

from pathlib import Path

from engine.cli.exit_codes import SUCCESS, USAGE
from engine.cli.options import CHECKING_OPTIONS, CheckingOptions
from engine.errors import DefinitionError
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.findings import Finding
from engine.workflow.loader import read
from engine.workflow.validation import validate as find


def validate(file: Path, /, *, options: CheckingOptions = CHECKING_OPTIONS) -> int:
    """Check a workflow file and list everything that is wrong with it; without --app functions are not checked.

    Parameters
    ----------
    file
        The workflow: a YAML or JSON file.
    """
    output = options.output()
    registry = options.registry()
    findings: list[Finding] = []
    definition: WorkflowDefinition | None = None
    try:
        data = read(file)
    except DefinitionError as error:
        findings = [Finding("", "", "", str(error))]
    else:
        findings = find(data, registry, str(file))
        if not findings:
            definition = WorkflowDefinition.model_validate(data, by_alias=True, by_name=False)
    for finding in findings:
        output.line(str(finding))
    if definition is not None:
        unchecked = (
            "" if registry is not None else "; its functions were not checked, name their application with --app"
        )
        output.line(f"{definition.id} is valid, version {definition.version}{unchecked}")
    output.document(
        {
            "valid": definition is not None,
            "workflow_id": None if definition is None else definition.id,
            "version": None if definition is None else definition.version,
            "findings": [finding._asdict() for finding in findings],
        }
    )
    return SUCCESS if definition is not None else USAGE
