/**
 * `sluice completion`: scripts that complete commands and options in a shell, made of what is declared.
 *
 * @module
 */

import type { Command, CommandContext, Flag } from "./usage.ts";
import { CommandLine, common, flagsOf, UsageError } from "./usage.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = typeof SHELLS[number];
type Commands = Readonly<Record<string, Command>>;

export const completionHelp = `Usage: sluice completion bash|zsh|fish

Prints a script that completes commands, options and what options may be. To have it in every shell:

  bash   sluice completion bash > ~/.local/share/bash-completion/completions/sluice
  zsh    sluice completion zsh > a folder of $fpath/_sluice
  fish   sluice completion fish > ~/.config/fish/completions/sluice.fish
`;

export function completion({ args }: CommandContext, commands: Commands): Promise<void> {
  const line = new CommandLine(args, {}, { positionals: 1 });
  const shell = SHELLS.find((shell) => shell === line.positionals[0]);
  if (!shell) throw new UsageError(`Cannot complete: wanted one of ${SHELLS.join(", ")}`);
  console.log(completionScript(shell, commands));
  return Promise.resolve();
}

/** What a shell reads. */
export function completionScript(shell: Shell, commands: Commands): string {
  return { bash, zsh, fish }[shell](commands);
}

const allFlags = ({ sections }: Command): Flag[] => [
  ...flagsOf(common),
  ...Object.values(sections).flatMap(flagsOf),
];

/** What an option may be, where that can be told. */
const choicesOf = ({ option }: Flag) => option.choices ?? option.entry?.choices ?? [];

function bash(commands: Commands): string {
  const cases = Object.entries(commands).map(([name, command]) => {
    const flags = allFlags(command);
    const values = flags.filter((flag) => choicesOf(flag).length > 0).map((flag) =>
      `        --${flag.name}) words="${choicesOf(flag).join(" ")}" ;;`
    );
    const files = flags.filter((flag) => !flag.option.isFlag && choicesOf(flag).length === 0)
      .map(({ name }) => `--${name}`);
    return `    ${name})
      case "$before" in
${values.join("\n")}${values.length > 0 ? "\n" : ""}        ${
      files.join("|") || "--"
    }) COMPREPLY=($(compgen -f -- "$now")); return ;;
        *) words="${flags.map(({ name }) => `--${name}`).join(" ")}" ;;
      esac ;;`;
  });
  return `# completes sluice in bash
_sluice() {
  local now="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(commands).join(" ")} help --help --version" -- "$now"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
    help) words="${Object.keys(commands).join(" ")}" ;;
    completion) words="${SHELLS.join(" ")}" ;;
${cases.filter((own) => !own.startsWith("    completion)")).join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$now"))
  # what is no option is a file
  [ "\${#COMPREPLY[@]}" -gt 0 ] || [[ "$now" == -* ]] || COMPREPLY=($(compgen -f -- "$now"))
}
complete -o filenames -F _sluice sluice`;
}

/** Text within single quotes of zsh's descriptions. */
const quoted = (text: string) =>
  text.replace(/'/g, "’").replace(/[[\]:]/g, (letter) => `\\${letter}`);

function zsh(commands: Commands): string {
  const cases = Object.entries(commands).map(([name, command]) => {
    const options = allFlags(command).map((flag) => {
      const { option } = flag;
      const says = quoted(option.helps ?? option.says ?? "");
      if (option.isFlag) return `        '--${flag.name}[${says}]'`;
      const choices = choicesOf(flag);
      const values = choices.length > 0 ? `(${choices.join(" ")})` : "_files";
      return `        '--${flag.name}[${says}]:${quoted(option.takes ?? "value")}:${values}'`;
    });
    const words = name === "completion" ? `(${SHELLS.join(" ")})` : "_files";
    return `    ${name})
      _arguments \\
${options.join(" \\\n")} \\
        '*:${name}:${words}' ;;`;
  });
  const described = Object.entries(commands)
    .map(([name, { summary }]) => `    '${name}:${quoted(summary)}'`);
  return `#compdef sluice
# completes sluice in zsh
_sluice() {
  local -a commands
  commands=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local name="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$name" in
    help) _describe 'command' commands ;;
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = _sluice ]; then _sluice "$@"; else compdef _sluice sluice; fi`;
}

function fish(commands: Commands): string {
  const text = (words: string) => `'${words.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
  const names = Object.entries(commands).map(([name, { summary }]) =>
    `complete -c sluice -n __fish_use_subcommand -f -a ${name} -d ${text(summary)}`
  );
  const options = Object.entries(commands).flatMap(([name, command]) =>
    allFlags(command).map((flag) => {
      const { option } = flag;
      const choices = choicesOf(flag);
      const takes = option.isFlag
        ? ""
        : choices.length > 0
        ? ` -x -a ${text(choices.join(" "))}`
        : " -r";
      const says = text(option.helps ?? option.says ?? "");
      return `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -l ${flag.name}${takes} -d ${says}`;
    })
  );
  return [
    "# completes sluice in fish",
    ...names,
    `complete -c sluice -n '__fish_seen_subcommand_from help' -f -a ${
      text(Object.keys(commands).join(" "))
    }`,
    `complete -c sluice -n '__fish_seen_subcommand_from completion' -f -a ${
      text(SHELLS.join(" "))
    }`,
    ...options,
  ].join("\n");
}
