"""Services named at the command line: `module:Class`, or `NAME=module:Class`."""

from collections.abc import Sequence

from consumers.host.arguments import check_services
from consumers.host.delivery import Service, check_service, text_of
from consumers.host.errors import ServiceInvalidError
from engine.application import load_attribute
from engine.errors import ApplicationError, ArgumentError


def load_services(texts: Sequence[str]) -> dict[str, Service]:
    """Return services by their names, which are those of their classes unless the text gives another.

    Args:
        texts: Each `[NAME=]module:attribute` or `[NAME=]file.py:attribute`, of a service or of a class that is made
            without arguments.

    Raises:
        ServiceInvalidError: There is no such module, file or attribute, importing it fails, or what is there is no
            service or cannot be made.
        ArgumentError: Two services have one name, or a name is not what a name must be.
    """
    found: dict[str, Service] = {}
    for text in texts:
        given, equals, place = text.rpartition("=")
        name, service = _load(given, place) if equals else _load("", text)
        if name in found:
            raise ArgumentError(
                f"expected services of different names, but found {name} twice.",
                hint="Write NAME=module:Class to give one another name.",
            )
        found[name] = service
    check_services(found)
    return found


def _load(name: str, place: str) -> tuple[str, Service]:
    try:
        attribute = load_attribute(place, "service", "service, or its class")
    except ApplicationError as error:
        raise ServiceInvalidError(error.args[0], hint=error.hint) from error
    name = name or place.rpartition(":")[2].rpartition(".")[2]
    if isinstance(attribute, type):
        try:
            attribute = attribute()
        except (Exception, SystemExit) as error:  # whatever the user's class raises
            raise ServiceInvalidError(
                f"expected the class {place} of a progress service to be made without arguments, but {text_of(error)}.",
                hint="Name a variable that holds the service, made with its arguments.",
            ) from error
    check_service(name, attribute)
    return name, attribute  # type: ignore[return-value]  # just checked
