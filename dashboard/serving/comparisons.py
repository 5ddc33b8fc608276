"""How many passwords are compared, whose turn it is, and how long a wrong one waits for its answer.

A comparison costs 32 MB and a tenth of a second. Whom to slow down is unknown: an address may be one attacker, or a
proxy with everybody behind it. So nobody is refused because of the wrong passwords of others:

- Two comparisons run at once. Browsers that have logged in before come first. Then comes the address with the fewest
  recent comparisons, so that a first login waits for none of those that guess; every fourth turn is for the address
  that has waited longest. Of one address the newest try comes first, so that a queue of guesses keeps nobody waiting;
  if too many wait, the oldest is turned away.
- Strangers together have a budget: a burst of 100 comparisons, then four a second, from however many addresses.
- A wrong password is answered late, later with each one from its address. The right one is answered at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread

from dashboard.serving import password

AT_ONCE = password.AT_ONCE
BURST, PER_SECOND = 100.0, 4.0  # comparisons of strangers
MAX_WAITING, MAX_WAITING_OF_ONE = 256, 64  # tries that wait for their turn: all together, from one address
MAX_LATE = 256  # wrong answers that are held back at once
MAX_DELAY = 15.0  # seconds
MAX_DEVICE_FAILURES = 10  # wrong passwords, after which a browser that has logged in before is a stranger
OFTEN = 8.0  # recent comparisons of an address, from which on it makes no difference how many they are
_FORGIVEN_PER_SECOND = 0.1  # of the recent comparisons
_LONGEST_EVERY = 4  # turns, of which one is for the address that has waited longest
_FIRST_DELAY = 0.25
_MAX_SOURCES = 1024
_FORGET_SECONDS = 900.0
_LOG_SECONDS = 60.0


class TooManyTriesError(Exception):
    """Newer tries have taken the place of this one."""


def source_of(address: str) -> str:
    """Return what tries are counted by: an IPv4 address, or the /64 network of an IPv6 address, which one person has.

    Args:
        address: of the client.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


@dataclass
class _Count:
    """Wrong passwords of one source."""

    failures: int = 0
    last: float = 0.0
    logged: float = float("-inf")


class Failures:
    """Counts wrong passwords by source; the number of sources is limited."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def of(self, source: str) -> int:
        """Return the number of a source's recent wrong passwords.

        Args:
            source: an address or a device.
        """
        count = self._counts.get(source)
        return count.failures if count is not None and time.monotonic() - count.last < _FORGET_SECONDS else 0

    def add(self, source: str) -> float:
        """Count a wrong password; return for how many seconds its answer is held back.

        Args:
            source: an address or a device.
        """
        failures = self.of(source) + 1
        count = self._counts.setdefault(source, _Count())
        count.failures, count.last = failures, time.monotonic()
        self._counts.move_to_end(source)
        while len(self._counts) > _MAX_SOURCES:
            self._counts.popitem(last=False)
        return float(min(_FIRST_DELAY * 2 ** min(failures - 1, 10), MAX_DELAY))

    def take_back(self, source: str) -> None:
        """Do not count the last password, which was right.

        Args:
            source: an address or a device.
        """
        count = self._counts.get(source)
        if count is not None:
            count.failures = max(0, count.failures - 1)

    def forget(self, source: str) -> None:
        """Forget a source's wrong passwords.

        Args:
            source: an address or a device.
        """
        self._counts.pop(source, None)

    def log_now(self, source: str) -> bool:
        """Return whether to log a wrong password: once a minute for each source.

        Args:
            source: an address or a device.
        """
        count, now = self._counts.get(source), time.monotonic()
        if count is None or now - count.logged < _LOG_SECONDS:
            return False
        count.logged = now
        return True


@dataclass
class _Use:
    """The recent comparisons of an address."""

    level: float = 0.0
    last: float = float("-inf")

    def recent(self, now: float) -> float:
        return max(0.0, self.level - (now - self.last) * _FORGIVEN_PER_SECOND)


class Turns:
    """The tries of strangers that wait, by address, and whose turn is next.

    Memory is limited: tries that wait are turned away by :class:`Comparisons`, and of the addresses that were compared
    the last thousand are remembered.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._since: dict[str, tuple[float, int]] = {}  # when an address began to wait
        self._uses: OrderedDict[str, _Use] = OrderedDict()
        self._number = self._turns = 0

    def lane(self, source: str) -> deque[asyncio.Future[None]]:
        """Return the tries of an address that wait, in the order in which they came.

        Args:
            source: the address.
        """
        if source not in self.waiting:
            self._number += 1
            self._since[source] = time.monotonic(), self._number
        return self.waiting.setdefault(source, deque())

    def next(self) -> asyncio.Future[None]:
        """Take the try whose turn it is. There must be one."""
        now = time.monotonic()
        self._turns += 1
        if self._turns % _LONGEST_EVERY:
            source = min(self.waiting, key=lambda each: self._rank(each, now))
        else:
            source = min(self._since, key=lambda each: self._since[each])
        turn = self.waiting[source].pop()
        self._count(source, now)
        self._number += 1
        self._since[source] = now, self._number
        self._remove_if_empty(source)
        return turn

    def turn_away(self, source: str | None = None) -> None:
        """Turn the oldest try of an address away.

        Args:
            source: the address; of all, that with the most tries and then the most comparisons if None.
        """
        now = time.monotonic()
        if source is None:
            source = max(self.waiting, key=lambda each: (len(self.waiting[each]), self._rank(each, now)))
        _turn_away(self.waiting[source])
        self._remove_if_empty(source)

    def _remove_if_empty(self, source: str) -> None:
        if not self.waiting[source]:
            del self.waiting[source], self._since[source]

    def _rank(self, source: str, now: float) -> tuple[float, float, int]:
        """Return the place of an address: few comparisons first; of those with none, the one that came last."""
        use = self._uses.get(source)
        recent = 0.0 if use is None else min(OFTEN, use.recent(now))
        since, number = self._since[source]
        return (recent, since, number) if recent >= OFTEN else (recent, -since, -number)

    def _count(self, source: str, now: float) -> None:
        use = self._uses.setdefault(source, _Use())
        use.level, use.last = min(OFTEN + 1, use.recent(now) + 1), now
        self._uses.move_to_end(source)
        while len(self._uses) > _MAX_SOURCES:
            self._uses.popitem(last=False)


class Comparisons:
    """Compares passwords, a few at once and in a fair order. See the module.

    Args:
        is_right: compares a password with the stored hash; runs in a thread.
    """

    def __init__(self, is_right: Callable[[str, Mapping[str, str]], bool] = password.is_right) -> None:
        self._is_right = is_right
        self._limiter: anyio.CapacityLimiter | None = None
        self._running = 0
        self._late = 0
        self._tokens, self._refilled = BURST, time.monotonic()
        self._known: deque[asyncio.Future[None]] = deque()
        self._strangers = Turns()
        self._timer: asyncio.TimerHandle | None = None

    async def compare(self, text: str, stored: Mapping[str, str], source: str, known: bool) -> bool:
        """Return whether a password is right, when it is its turn.

        Args:
            text: the password.
            stored: salt and hash.
            source: the address that it came from.
            known: it came from a browser that has logged in before.

        Raises:
            TooManyTriesError: it waited longest when too many waited.
        """
        await self._turn(source, known)
        try:
            self._limiter = self._limiter or anyio.CapacityLimiter(AT_ONCE)
            return await anyio.to_thread.run_sync(self._is_right, text, stored, limiter=self._limiter)
        finally:
            self._running -= 1
            self._start_next()

    async def hold_back(self, seconds: float) -> None:
        """Wait before a wrong password is answered, unless too many wait already.

        Args:
            seconds: how long.
        """
        if self._late >= MAX_LATE:
            return
        self._late += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._late -= 1

    async def _turn(self, source: str, known: bool) -> None:
        lane = self._known if known else self._strangers.lane(source)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.append(turn)
        strangers = sum(map(len, self._strangers.waiting.values()))
        if len(lane) > MAX_WAITING_OF_ONE:
            _turn_away(lane) if known else self._strangers.turn_away(source)
        elif len(self._known) + strangers > MAX_WAITING:
            self._strangers.turn_away() if strangers else _turn_away(self._known)
        self._start_next()
        try:
            await turn
        except asyncio.CancelledError:  # the server ends
            if turn.done() and not turn.cancelled():
                self._running -= 1
            raise

    def _start_next(self) -> None:
        while self._running < AT_ONCE:
            turn = self._next()
            if turn is None:
                return
            if not turn.done():  # otherwise it was cancelled
                self._running += 1
                turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        if self._known:
            return self._known.pop()
        if not self._strangers.waiting or not self._take_token():
            return None
        return self._strangers.next()

    def _take_token(self) -> bool:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._refilled) * PER_SECOND)
        self._refilled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later((1 - self._tokens) / PER_SECOND, self._refill)
        return False

    def _refill(self) -> None:
        self._timer = None
        self._start_next()


def _turn_away(lane: deque[asyncio.Future[None]]) -> None:
    oldest = lane.popleft()
    if not oldest.done():
        oldest.set_exception(TooManyTriesError())
