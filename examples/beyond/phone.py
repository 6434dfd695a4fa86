"""Calls and messages: runs a command of yours with the contact and the message, or only prints them.

The command is split once, and each {contact}, {number} and {message} is filled inside one argument; no shell sees it.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from consumer import CannotError, make_parser, read_yaml, run_command, same, serve


def do(service: str, data: Mapping[str, str], language: str, *, commands: Mapping[str, str], contacts: Mapping[str, str]) -> str:
    """Call or write to a contact; with a contact list, only to those who are on it."""
    contact = data.get("contact", "")
    number = next((str(number) for name, number in contacts.items() if same(name, contact)), "")
    if not contact or (contacts and not number):
        raise CannotError(f"{contact or 'nobody'} is not in the contacts")
    if service == "phone.message" and not data.get("message"):
        raise CannotError("a message without words")
    if commands[service]:
        run_command(commands[service], {"contact": contact, "number": number, "message": data.get("message", "")})
    if service == "phone.message":
        return f"已发给{contact}。" if language == "zh" else f"Sent to {contact}."
    return f"正在打给{contact}。" if language == "zh" else f"Calling {contact}."


if __name__ == "__main__":
    parser = make_parser(__doc__, "python examples/beyond/phone.py --call 'linphonecsh dial {number}' --contacts contacts.yaml")
    parser.add_argument(
        "--call", default="", metavar="COMMAND", help="how to call: a command with {contact} or {number}; printed when missing"
    )
    parser.add_argument(
        "--message", default="", metavar="COMMAND", help="how to write: a command with {contact} or {number}, and {message}"
    )
    parser.add_argument("--contacts", type=Path, metavar="FILE", help="YAML of name: number; nobody else is called")
    args = parser.parse_args()
    known = read_yaml(args.contacts) if args.contacts else {}
    if not isinstance(known, dict):
        parser.error(f"{args.contacts}: expected name: number, got {type(known).__name__}")
    serve(
        args,
        ("phone.call", "phone.message"),
        partial(do, commands={"phone.call": args.call, "phone.message": args.message}, contacts=known),
    )
