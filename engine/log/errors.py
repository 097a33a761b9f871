"""What goes wrong at a log besides the errors that every caller knows."""

from engine.errors import LogError


class OffsetOutOfRangeError(LogError):
    """The partition does not hold this offset: it is before its start or behind its end."""

    code = "offset_out_of_range"


class RecordTooLargeError(LogError):
    """The record has more bytes than a record may have; nothing was written."""

    code = "record_too_large"


class PlaceUnknownError(LogError):
    """The log has no such topic or partition."""

    code = "place_unknown"


class LogReadOnlyError(LogError):
    """The log was opened for reading beside its writer, so nothing can be appended here."""

    code = "log_read_only"


class LogReplacedError(LogError):
    """The place holds another log than the one that was opened: it was deleted and made again."""

    code = "log_replaced"


class LogUnreachableError(LogError):
    """No broker answers; what was sent may or may not be on the log."""

    code = "log_unreachable"


class LogDeniedError(LogError):
    """The brokers refuse what was asked of them: who asks is nobody they know, or may not do it."""

    code = "log_denied"


class MemberReplacedError(LogError):
    """Another process takes part in the group under this one's name, so this one cannot."""

    code = "member_replaced"


class TopicsError(LogError):
    """The topics are missing or not as they must be; the text is the plan that would change that."""

    code = "topics"
