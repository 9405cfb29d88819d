"""`cnnexplain completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HELP = "print a completion script for bash, zsh or fish"
DESCRIPTION = """
Prints a script that lets a shell complete commands, options, methods, metrics and networks. It is made from
the commands themselves: print it again after an update.
"""
EXAMPLES = """
cnnexplain completion bash > ~/.local/share/bash-completion/completions/cnnexplain
cnnexplain completion zsh > "${fpath[1]}/_cnnexplain"
cnnexplain completion fish > ~/.config/fish/completions/cnnexplain.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("shell", choices=list(_SHELLS), help="for which shell")


def run(options: argparse.Namespace) -> int:
    """Prints the script."""
    print(_SHELLS[options.shell](_commands()), end="")
    return 0


@dataclass
class _Argument:
    """An option with its flags, or without flags what stands in a place.

    `values` are the words that it may be, and `files` says whether it may be a file too.
    """

    flags: Sequence[str]
    takes: bool
    values: list[str]
    files: bool
    many: bool
    name: str
    about: str


@dataclass
class _Command:
    name: str
    about: str
    arguments: list[_Argument]


def _commands() -> list[_Command]:
    from .commands import command
    from .entry import parser

    (group,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return [
        _Command(name, _quotable(command(name).HELP), [_argument(action) for action in one._actions])
        for name, one in group.choices.items()
    ]


def _argument(action: argparse.Action) -> _Argument:
    values = _values(action)
    return _Argument(
        flags=action.option_strings,
        takes=action.nargs != 0,
        values=values,
        files=not values or action.metavar == "MODEL",
        many=action.nargs in ("+", "*", argparse.REMAINDER),
        name=_quotable(str(action.metavar or action.dest)),
        about=_quotable((action.help or "").split(";")[0].replace("(%(default)s)", "")),
    )


def _values(action: argparse.Action) -> list[str]:
    from cnnexplain import explain
    from cnnexplain.explain.compare import METRICS

    from .networks import LECTURE, applications

    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if {"--method", "--methods"} & set(action.option_strings):
        return explain.methods()
    if "--metrics" in action.option_strings:
        return [*METRICS, "none"]
    return [LECTURE, *applications()] if action.metavar == "MODEL" else []


def _quotable(text: str) -> str:
    """What may stand between single quotes, and in zsh's brackets, in every shell."""
    return "".join(letter for letter in text if letter not in "'\"[]:`$\\\n").strip()


def _bash(commands: list[_Command]) -> str:
    cases = []
    for one in commands:
        flags = " ".join(f for a in one.arguments for f in a.flags if f.startswith("--"))
        words = " ".join(v for a in one.arguments if not a.flags for v in a.values)
        options = "".join(
            f"\n        {'|'.join(a.flags)}) values='{' '.join(a.values)}' files={int(a.files)} ;;"
            for a in one.arguments
            if a.flags and a.takes
        )
        cases.append(
            f"    {one.name})\n      flags='{flags}'\n      (( COMP_CWORD == 2 )) && words='{words}'\n"
            f"      case ${{COMP_WORDS[COMP_CWORD-1]}} in{options}\n        *) ours=0 ;;\n      esac ;;"
        )
    names = " ".join(one.name for one in commands)
    return f"""# bash completion of cnnexplain
_cnnexplain() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} flags="" words="" values="" files=1 ours=1
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "{names} --help --version" -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{chr(10).join(cases)}
    *) ours=0 ;;
  esac
  if (( ours )); then words=$values
  elif [[ $word == -* ]]; then words=$flags files=0
  fi
  local before=""
  if (( ours )) && [[ $word == *,* ]]; then before=${{word%,*}},; fi
  COMPREPLY=($(compgen -P "$before" -W "$words" -- "${{word##*,}}"))
  if (( files )); then
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$word"))
  fi
}}
complete -F _cnnexplain cnnexplain
"""


def _zsh(commands: list[_Command]) -> str:
    cases = []
    for one in commands:
        lines, place = [], 0
        for a in one.arguments:
            kind = f"({' '.join(a.values)})" if a.values else "_files"
            kind = "_cnnexplain_models" if a.values and a.files else kind
            if a.flags:
                lines += [f"'{flag}[{a.about}]{f':{a.name}:{kind}' * a.takes}'" for flag in a.flags]
            else:
                place += 1
                lines.append(f"'{'*' if a.many else place}:{a.name}:{kind}'")
        cases.append(f"    {one.name})\n      _arguments " + " \\\n        ".join(lines) + " ;;")
    models = next(a.values for one in commands for a in one.arguments if a.values and a.files)
    names = "\n".join(f"    '{one.name}:{one.about}'" for one in commands)
    return f"""#compdef cnnexplain
_cnnexplain_models() {{
  compadd {" ".join(models)}
  _files
}}
_cnnexplain() {{
  local -a names=(
{names}
  )
  if (( CURRENT == 2 )); then
    _describe command names
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
{chr(10).join(cases)}
  esac
}}
if [[ $funcstack[1] == _cnnexplain ]]; then _cnnexplain "$@"; else compdef _cnnexplain cnnexplain; fi
"""


def _fish(commands: list[_Command]) -> str:
    lines = ["# fish completion of cnnexplain"]
    for one in commands:
        lines.append(f"complete -c cnnexplain -f -n __fish_use_subcommand -a {one.name} -d '{one.about}'")
        within = f"complete -c cnnexplain -n '__fish_seen_subcommand_from {one.name}'"
        for a in one.arguments:
            words = f" -a '{' '.join(a.values)}'" * bool(a.values)
            flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in a.flags)
            if flags:
                takes = ("" if not a.takes else " -r" if a.files else " -x") + words
                lines.append(f"{within} {flags}{takes} -d '{a.about}'")
            elif words:
                lines.append(within + words)
    return "\n".join(lines) + "\n"


_SHELLS: dict[str, Any] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
