"""Mail servers that verify no name of a client: what they call unknown is no evidence."""

from bley.trial.client_names import ClientNames
from bley.trial.facts import HAM, NO_HELO, NO_NAME, Facts


def _mails(number: int, server: str, name: str = "unknown") -> list[Facts]:
    """Return mails from as many clients."""
    return [
        Facts(HAM, 0, f"192.0.2.{each}", name, "friend", "a@example.com", "b@example.org", "x", server=server)
        for each in range(number)
    ]


def _marked(*groups: list[Facts]) -> tuple[int, list[int]]:
    """Return the nameless clients, and what the first mail of each group lacks."""
    clients = ClientNames()
    for group in groups:
        for facts in group:
            clients.add(facts)
    return clients.nameless, [next(clients.marked(group)).lacks for group in groups]


def test_a_server_that_names_no_client_verifies_none() -> None:
    assert _marked(_mails(10, "exim")) == (10, [NO_NAME])


def test_a_few_clients_without_a_name_are_strangers_without_a_name() -> None:
    assert _marked(_mails(9, "exim")) == (0, [0])
    assert _marked(_mails(1, "exim") * 50) == (0, [0])


def test_one_name_shows_that_the_server_verifies_names() -> None:
    assert _marked(_mails(50, "mx"), _mails(1, "mx", "mail.example.com")) == (0, [0, 0])
    assert _marked(_mails(1, "mx", "mail.example.com"), _mails(50, "mx")) == (0, [0, 0])


def test_each_server_counts_by_itself() -> None:
    assert _marked(_mails(50, "exim"), _mails(50, "mx", "mail.example.com")) == (50, [NO_NAME, 0])


def test_servers_with_few_clients_count_together_if_none_has_named_one() -> None:
    assert _marked(_mails(5, "mx1"), _mails(5, "mx2")) == (10, [NO_NAME, NO_NAME])
    assert _marked(_mails(5, "mx1"), _mails(5, "mx2"), _mails(1, "mx3", "mail.example.com")) == (0, [0, 0, 0])


def test_other_missing_facts_stay() -> None:
    lacking = [facts._replace(lacks=NO_HELO) for facts in _mails(10, "log")]
    assert _marked(lacking) == (10, [NO_HELO | NO_NAME])


def test_memory_is_bounded_whatever_the_number_of_servers_and_clients() -> None:
    many = [
        facts._replace(server=f"mx{number}", client_address=f"10.{number >> 8}.{number & 255}.1")
        for number in range(20_000)
        for facts in _mails(1, "")
    ]
    nameless, lacks = _marked(many)
    assert (nameless, lacks) == (10_020, [NO_NAME])
