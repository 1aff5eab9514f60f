import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS, helpWithExamples } from "../../src/cli/commands.ts";
import { completionScript } from "../../src/cli/completion.ts";
import { CommandLine, flagsOf } from "../../src/cli/usage.ts";
import { VERSION } from "../../src/version.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { COMMANDS as TABLE } from "../support/option_tables.ts";
import { PYTHON, pythonMissing } from "../support/python.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-manners-${runtime}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the command line", () => {
  it("says which command may be meant", async () => {
    const { code, stderr } = await runCli(["decod", "--out", "x"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no such command, "decode" may be meant, wanted one of acts, /);
  });

  it("has help of a command in either order, and its version in two spellings", async () => {
    const { code, stdout } = await runCli(["help", "pca"]);
    expect([code, stdout]).toEqual([0, `${helpWithExamples("pca")}\n`]);
    expect(stdout).toContain("Examples:\n  sluice pca --input latents.npy");
    expect((await runCli(["-V"])).stdout).toBe(`${VERSION}\n`);
  });

  it("tells all that is missing at once", async () => {
    const { signal } = new AbortController();
    const said = (name: string, ...args: string[]) =>
      Promise.resolve(COMMANDS[name]!.run({ args, signal })).then(
        () => "",
        (error) => error.message,
      );
    expect(await said("decode", "--rate", "50")).toBe(
      "Cannot run: --spike-times, --spike-units, --position-times, --position, --bin-size and --out are missing",
    );
    expect(await said("kmeans")).toBe("Cannot run: --input and --k are missing");
    expect(await said("kmeans", "--init", "c.npy")).toBe("Cannot run: --input is missing");
    expect(await said("pca", "--components", "2")).toBe("Cannot run: --input is missing");
    expect(await said("transform", "x.zarr")).toBe("Cannot run: --input and --out are missing");
  });

  it("ends with the same code where a path has a colon", async () => {
    const args = ["kmeans", "--input", "a: b.npy", "--k", "2", "--quiet"];
    expect((await runCli(args, { cwd: folder })).code).toBe(2);
  });

  it("has examples that it reads, for every command", () => {
    for (const [name, { examples, sections }] of Object.entries(COMMANDS)) {
      expect(sections).toEqual(TABLE[name]);
      for (const example of examples) {
        const [command, ...args] = example.split(" ");
        expect(command).toBe(name);
        expect(new CommandLine(args, sections, { positionals: 3 })).toBeDefined();
      }
      expect(examples.length).toBeGreaterThan(0);
    }
  });
});

/** A folder of a shell, or why there is none. */
function shellMissing(shell: string): string | undefined {
  const found = ["/bin", "/usr/bin"].some((folder) => existsSync(join(folder, shell)));
  return found ? undefined : `${shell} is not installed (Debian: apt-get install ${shell})`;
}

describe("completion", () => {
  const commands = Object.keys(COMMANDS);
  const flags = flagsOf(COMMANDS.pca!.sections.Model!).map(({ name }) => `--${name}`);

  it("in bash knows commands, options, and what options may be", async (context) => {
    const missing = shellMissing("bash");
    if (missing) context.skip(missing);
    const file = join(folder, "sluice.bash");
    await writeFile(file, completionScript("bash", COMMANDS));
    const complete = (...words: string[]) =>
      execFileSync("bash", [
        "-c",
        `source ${file}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`,
        "bash",
        ...words,
      ], { cwd: folder, encoding: "utf8" }).trim().split("\n");
    expect(complete("sluice", "")).toEqual(expect.arrayContaining([...commands, "help"]));
    expect(complete("sluice", "dec")).toEqual(["decode"]);
    expect(complete("sluice", "pca", "--")).toEqual(expect.arrayContaining(flags));
    const states = ["continuous", "contFrag", "noSpikeContFrag", "nonLocal"];
    expect(complete("sluice", "decode", "--states", "")).toEqual(states);
    expect(complete("sluice", "decode", "--states", "contF")).toEqual(["contFrag"]);
    expect(complete("sluice", "plot", "sluice.b")).toEqual(["sluice.bash"]);
    expect(complete("sluice", "pca", "--input", "slu")).toEqual(["sluice.bash"]);
  });

  it("in fish knows the same", async (context) => {
    const missing = shellMissing("fish");
    if (missing) context.skip(missing);
    const file = join(folder, "sluice.fish");
    await writeFile(file, completionScript("fish", COMMANDS));
    const complete = (words: string) =>
      execFileSync("fish", ["-c", `source ${file}; complete -C "${words}"`], {
        encoding: "utf8",
        env: { ...process.env, HOME: folder },
      }).trim().split("\n").map((line) => line.split("\t")[0]);
    expect(complete("sluice dec")).toEqual(["decode"]);
    expect(complete("sluice pca --")).toEqual(expect.arrayContaining(flags));
    const states = ["contFrag", "continuous", "nonLocal", "noSpikeContFrag"];
    expect(complete("sluice decode --states ")).toEqual(states);
  });

  it("in zsh is read without complaint, and offers every option", async (context) => {
    const missing = shellMissing("zsh");
    if (missing) context.skip(missing);
    const file = join(folder, "_sluice");
    const script = completionScript("zsh", COMMANDS);
    await writeFile(file, script);
    const said = execFileSync("zsh", [
      "-f",
      "-c",
      `autoload -U compinit; compinit -u -d ${
        join(folder, "dump")
      }; source ${file}; echo $_comps[sluice]`,
    ], { encoding: "utf8" });
    expect(said.trim()).toBe("_sluice");
    for (const flag of flags) expect(script).toContain(`'${flag}[`);
  });

  it("is printed, or says which shells there are", async () => {
    const { code, stdout } = await runCli(["completion", "bash"]);
    expect([code, stdout]).toEqual([0, `${completionScript("bash", COMMANDS)}\n`]);
    const { signal } = new AbortController();
    expect(() => COMMANDS.completion!.run({ args: ["csh"], signal })).toThrow(
      "Cannot complete: wanted one of bash, zsh, fish",
    );
  });
});

/** Runs a program on a terminal of some width, and tells all that it wrote there. */
const ON_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
columns, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0: os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
said = b""
while True:
    try: part = os.read(terminal, 65536)
    except OSError: break
    if not part: break
    said += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(said)
`;

describe("a terminal", () => {
  for (const columns of [60, 80, 200]) {
    it(`of ${columns} columns has one bar in one line, and a plan that fits it`, async (context) => {
      const missing = pythonMissing(["pty"]);
      if (missing) context.skip(missing);
      const out = join(folder, `${columns}.zarr`);
      const inputs = await writeRecording(folder, smallRecording({ seconds: 8 }));
      const program = runtime === "deno"
        ? [process.execPath, "run", "--allow-all", "src/cli/main.ts"]
        : [process.execPath, "tools/run.mjs", "cli"];
      const said = execFileSync(PYTHON, [
        ...["-c", ON_TERMINAL, String(columns), ...program],
        ...["decode", ...inputs, "--out", out, "--tile-rows", "16"],
      ], { encoding: "utf8" });
      expect(JSON.parse(await readFile(join(out, "zarr.json"), "utf8")).attributes.complete).toBe(
        1,
      );
      const plan = said.slice(said.indexOf("Plan "), said.indexOf("\r\x1b[2K")).split("\r\n");
      expect(plan.length).toBeGreaterThan(10);
      for (const line of plan) expect([line, line.length <= columns]).toEqual([line, true]);
      const bars = said.split("\n").filter((line) => line.includes("░") || line.includes("█"));
      expect(bars.length).toBe(1);
      const drawn = bars[0]!.split("\r\x1b[2K").slice(1).map((line) => line.replace(/\r$/, ""));
      expect(drawn.length).toBeGreaterThan(2);
      for (const line of drawn) expect([line, line.length < columns]).toEqual([line, true]);
      // and all that there is room for
      expect(drawn.some((line) => line.includes("written"))).toBe(columns >= 200);
    });
  }
});
