"""The Lua scripts that write to Redis. Each uses keys of one slot, so that a Cluster can run it.

A script is idempotent for each mark (engine.Mark). The last number of a writer is in a field of the record. For stream
and counts it is in an expiring key of the same slot. If another program's value stands under our key or field, the
script refuses its work, or overwrites the value if nothing is lost by that.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from redis.exceptions import ResponseError

from bley.core.greylist import MAX_ATTEMPTS, Lifetimes, Record, Sighting, Status
from bley.core.history.attempts import block_of_key
from bley.store.engine import MARK_LIFETIME, MOST_DOMAINS, Mark
from bley.store.redis_keys import mails_key
from bley.store.rows import microseconds

__all__ = ["Commands", "add_counts", "append", "learn_domain", "merge"]

_MILLISECOND = timedelta(milliseconds=1)
_MAILS = timedelta(days=40)
"""The time for which a block of the index of mails is stored, if the stream is not trimmed before."""

# Instants pass through as texts: numbers of Lua are exact to 2^53 only. Without forget_before the script implements
# `united`, which does not add up attempts. An invalid record counts as none, and one of an older bley has no cause.
# Texts are compared by their bytes: Lua's own comparison depends on the locale of the server.
_MERGE = """
local function is_greater(one, other)
  for at = 1, math.min(#one, #other) do
    local here, there = one:byte(at), other:byte(at)
    if here ~= there then return here > there end
  end
  return #one > #other
end
local old = redis.call('HMGET', KEYS[1], 'status', 'first_seen', 'last_seen', 'attempts', 'cause', ARGV[9])
local status, first, last, attempts, forget_before = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local cause, old_cause = ARGV[11], old[5] or ''
if ARGV[9] ~= '' and (tonumber(old[6]) or -1) >= tonumber(ARGV[10]) then return end
local known = old[1] and string.find(old[1], '^[0-7]$')
for i = 2, 4 do known = known and tonumber(old[i]) end
local restarts = old[1] == '0' or old[1] == '7'
if known and not (restarts and forget_before ~= '' and tonumber(old[2]) < tonumber(forget_before)) then
  if tonumber(old[1]) > tonumber(status) then status = old[1] end
  local old_first, new_first = tonumber(old[2]), tonumber(first)
  if old_first < new_first or old_first == new_first and is_greater(old_cause, cause) then cause = old_cause end
  if old_first < new_first then first = old[2] end
  if tonumber(old[3]) > tonumber(last) then last = old[3] end
  if forget_before == '' then attempts = math.max(old[4], attempts)
  else attempts = math.min(old[4] + attempts, tonumber(ARGV[8])) end
end
redis.call(
  'HSET', KEYS[1], 'status', status, 'first_seen', first, 'last_seen', last, 'attempts', attempts, 'cause', cause
)
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], ARGV[9], ARGV[10]) end
local lifetime = tonumber(status == '0' and ARGV[6] or ARGV[7])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), lifetime))
"""

# Only bley's own sorted set can be of use under this key. A score is exact to 2^53, which is the year 2255.
_LEARN_DOMAIN = """
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
local domain, seen, lifetime, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if (tonumber(redis.call('ZSCORE', KEYS[1], domain)) or 0) < seen then redis.call('ZADD', KEYS[1], ARGV[2], domain) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', seen - lifetime * 1000))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - most)
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), lifetime))
"""

_APPEND = """
if (tonumber(redis.call('GET', KEYS[2])) or -1) >= tonumber(ARGV[1]) then return end
local at = 5
while at <= #ARGV do
  local size, index, name = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, at + 3, at + 2 + size))
  if index > 0 then redis.pcall('APPEND', KEYS[index], name .. ' ' .. id .. '\\n') end
  at = at + 3 + size
end
for i = 3, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
"""

# Returns the indexes, from 0, of the fields that do not contain a number.
_ADD_COUNTS = """
if (tonumber(redis.call('GET', KEYS[2])) or -1) >= tonumber(ARGV[1]) then return {} end
local refused = {}
for at = 4, #ARGV, 2 do
  local reply = redis.pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  if type(reply) == 'table' and reply.err then
    local words = tostring(reply.err)
    if not (string.find(words, 'not an integer') or string.find(words, 'overflow')) then return reply end
    refused[#refused + 1] = at / 2 - 2
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return refused
"""

_REFUSALS = ("WRONGTYPE", "not an integer", "would overflow", "attempt to ")
"""Parts of errors that a value causes, the last one from Lua. All other errors concern the server's state."""


class Commands:
    """A pipeline of commands to a server or Cluster, each of which concerns some values.

    `refused`: the values of refused commands, and the reasons.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._about: list[Sequence[Any]] = []
        self.refused: list[tuple[Any, str]] = []

    def add(self, about: Sequence[Any], name: str, *arguments: str | int) -> None:
        """Add a command, by the name of its method of redis-py's pipeline."""
        try:
            encoded = [each.encode() if isinstance(each, str) else each for each in arguments]
        except UnicodeError as error:
            self._refuse(about, error)
            return
        getattr(self._pipeline, name)(*encoded)
        self._about.append(about)

    async def execute(self) -> list[tuple[Sequence[Any], Any]]:
        """Return the values and result of each command that was not refused. Raises the first other error."""
        done = []
        of_commands, self._about = self._about, []
        for about, result in zip(of_commands, await self._pipeline.execute(raise_on_error=False), strict=True):
            if not isinstance(result, Exception):
                done.append((about, result))
            elif about and isinstance(result, ResponseError) and any(words in str(result) for words in _REFUSALS):
                self._refuse(about, result)
            else:
                raise result
        return done

    def _refuse(self, about: Sequence[Any], error: Exception) -> None:
        self.refused += [(value, str(error)) for value in about]


def merge(
    commands: Commands,
    about: Any,
    key: str,
    record: Record,
    lifetimes: Lifetimes,
    forget_before: str,
    mark: Mark | None,
) -> None:
    """Merge the record into the record under the key."""
    commands.add(
        [about],
        "eval",
        _MERGE,
        1,
        key,
        int(record.status),
        microseconds(record.first_seen),
        microseconds(record.last_seen),
        record.attempts,
        forget_before,
        lifetimes.greylisted // _MILLISECOND,
        lifetimes.of(max(record.status, Status.CLEAN)) // _MILLISECOND,
        MAX_ATTEMPTS,
        f"w:{mark.writer}" if mark else "",
        mark.number if mark else 0,
        record.cause,
    )


def learn_domain(commands: Commands, sighting: Sighting, key: str) -> None:
    """Add the client's domain to the sorted set of its network's domains."""
    arguments = microseconds(sighting.seen), sighting.lifetimes.known // _MILLISECOND, MOST_DOMAINS
    commands.add([sighting], "eval", _LEARN_DOMAIN, 1, key, sighting.triplet.client, *arguments)


def append(
    commands: Commands,
    about: Sequence[Any],
    key: str,
    rows: Sequence[Mapping[str, str | int]],
    longest: int,
    mark: Mark,
) -> None:
    """Append the rows to the stream, which Redis trims to some more than `longest` entries.

    A row with a key `mail` gets a line in the text under the key of its block: the key and the id of the entry.
    """
    arguments: list[str | int] = [mark.number, MARK_LIFETIME // _MILLISECOND, longest, _MAILS // _MILLISECOND]
    keys = [key, _beside(key, mark)]
    for row in rows:
        mail = int(row.get("mail", 0))
        block = mails_key(block_of_key(mail)) if mail else ""
        if block and block not in keys:
            keys.append(block)
        place = keys.index(block) + 1 if block else 0
        arguments += [2 * len(row), place, mail, *(part for item in row.items() for part in item)]
    commands.add(about, "eval", _APPEND, len(keys), *keys, *arguments)


def add_counts(
    commands: Commands, about: Sequence[Any], key: str, numbers: Mapping[str, int], lifetime: timedelta, mark: Mark
) -> None:
    """Add the numbers to the fields of the hash. The command's result: the indexes of the refused ones."""
    arguments: list[str | int] = [mark.number, MARK_LIFETIME // _MILLISECOND, lifetime // _MILLISECOND]
    arguments += [part for item in numbers.items() for part in item]
    commands.add(about, "eval", _ADD_COUNTS, 2, key, _beside(key, mark), *arguments)


def _beside(key: str, mark: Mark) -> str:
    """Return the key of the writer's last number, in the slot of `key` (Redis Cluster specification, "Hash tags")."""
    return f"bley:w:{{{key}}}:{mark.writer}"
