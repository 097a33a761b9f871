"""The host of progress services: user code that follows the log in a process of its own, at its own pace."""

from consumers.host.delivery import Delivery as Delivery
from consumers.host.delivery import DeliveryService as DeliveryService
from consumers.host.delivery import Service as Service
from consumers.host.errors import GroupDiffersError as GroupDiffersError
from consumers.host.errors import HostCancelledError as HostCancelledError
from consumers.host.errors import PartitionStoppedError as PartitionStoppedError
from consumers.host.errors import ServiceInvalidError as ServiceInvalidError
from consumers.host.errors import StopReason as StopReason
from consumers.host.host import ServiceHost as ServiceHost
from consumers.host.lag import Lag as Lag
from consumers.host.local import LocalProgress as LocalProgress
from consumers.host.opening import open_progress as open_progress
from consumers.host.parked import Parked as Parked
from consumers.host.start import Start as Start
from consumers.host.wanted import Wanted as Wanted
