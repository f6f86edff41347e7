import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readSources } from "../../../scripts/checks/sources.ts";
import { type WireTexts, wireProblems } from "../../../scripts/checks/wire.ts";

/** A contract with one setting, two ops, one event and one record kind, on which all sides agree. */
const agreed: WireTexts = {
  architecture: [
    "The first two words are `tsbox-plan` and the version, `1`.",
    "### Settings",
    "| words | meaning |",
    "| `hostname TEXT` | in the new uts namespace |",
    "### Ops",
    "| `bind SOURCE DEST FLAGS` | FLAGS `ro`, `optional` |",
    "| `cwd PATH` | `cwd-make PATH` creates it |",
    "### Events",
    "| `created` | `pid` (outside) |",
    "## Contract 3: the kept start",
    "Words: `tsbox-kept`, the version `1`",
    "| `there PATH`, `absent PATH` | a file |",
    "",
  ].join("\n"),
  types: [
    'export type Op = | { op: "bind"; source: string; dest: string; flags: string[] }',
    '  | { op: "cwd"; path: string } | { op: "cwd-make"; path: string };',
    "export type HelperEvent = { time: string } & (",
    '  | { event: "created"; pid: number }',
    ");",
    "export const PLAN_VERSION = 1;",
  ].join("\n"),
  encoder: 'put("hostname", plan.hostname);\ncase "bind":\ncase "cwd":\ncase "cwd-make":',
  table: [
    'static const struct op_spec op_specs[] = {\n    {"bind", "ppf", 0, op_bind},\n    {"cwd", "p", 0, NULL},',
    '    {"cwd-make", "p", 0, NULL},\n};',
    'static const struct setting_spec setting_specs[] = {\n    {{"hostname", "t", 0, NULL}, set_hostname},\n};',
  ].join("\n"),
  helper: '#define PLAN_VERSION 1\nevent_begin("created");\nevent_number("pid", pid);',
  headers: [
    "#define ABI_VERSION 1\n#define RECORD_MAX (1u << 20)\n#define RECORD_HEADER_SIZE 80u",
    "enum record_kind {\n    RECORD_FILE = 2,\n};\nenum record_flag {\n    RECORD_FLAG_SPARSE = 1,\n};",
    "enum reader_flag {\n    READER_WHITEOUTS = 1,\n};\nenum reader_status {\n    READER_END = 5,\n};",
    "enum gunzip_status {\n    GUNZIP_END = 3,\n};\nenum lent_status {\n    LENT_USED = 1,\n};",
    "struct record {\n    uint32_t length;\n    uint8_t kind;\n    uint8_t flags;\n    uint16_t xattr_count;\n    uint32_t mode;\n};",
  ].join("\n"),
  mirror: [
    "export const ABI_VERSION = 1;\nexport const RECORD_MAX = 1 << 20;\nexport const RECORD_HEADER_SIZE = 80;",
    "RecordKind = {\n  FILE: 2,\n} as const;\nRecordFlag = { SPARSE: 1 } as const;",
    "ReaderFlag = { WHITEOUTS: 1 } as const;\nReaderStatus = { END: 5 } as const;",
    "GunzipStatus = { END: 3 } as const;\nLentStatus = { USED: 1 } as const;",
    "mode: view.getUint32(8, true),",
  ].join("\n"),
  keeper: 'const VERSION = "1";\n["tsbox-kept", VERSION],\n["there", path],\n[\n  "absent",\n  path],',
  launcher:
    '#define KEPT_VERSION "1"\nstatic const struct {\n} entries[] = {\n    {"there", there, true}, {"absent", absent, true},\n};',
};

function problemsWith(side: keyof WireTexts, from: string, to: string): string[] {
  assert.ok(agreed[side].includes(from), `${side} has ${from}`);
  return wireProblems({ ...agreed, [side]: agreed[side].replace(from, to) });
}

test("wireProblems() finds nothing when all sides agree", () => {
  assert.equal(wireProblems(agreed), []);
});

test("wireProblems() names an op that the helper does not know", () => {
  assert.equal(problemsWith("table", '    {"cwd", "p", 0, NULL},', ""), [
    'op "cwd" is missing in helper-c/plan.c',
    'op "cwd" of runner/helper/wire.ts is missing in helper-c/plan.c',
  ]);
});

test("wireProblems() names an op with another number of operands", () => {
  assert.equal(problemsWith("table", '"ppf"', '"pp"'), [
    'op "bind" has differing numbers of operands: 3 in ARCHITECTURE.md, 3 in runner/plan/types.ts, 2 in helper-c/plan.c',
  ]);
});

test("wireProblems() names a word of a kept start that one side lacks, and another version", () => {
  assert.equal(problemsWith("launcher", ', {"absent", absent, true}', ""), [
    'word "absent" of a kept start is missing in helper-c/launcher',
  ]);
  assert.equal(problemsWith("keeper", 'VERSION = "1"', 'VERSION = "2"'), [
    "version of a kept start differs: 2 in runner/engine/keep-start.ts, 1 in helper-c/launcher, 1 in ARCHITECTURE.md",
  ]);
});

test("wireProblems() names a setting that is not documented, and one that is never sent", () => {
  assert.equal(problemsWith("architecture", "`hostname TEXT`", "`host-name TEXT`"), [
    'setting "host-name" is missing in helper-c/plan.c',
    'setting "hostname" is missing in ARCHITECTURE.md',
  ]);
  assert.equal(problemsWith("encoder", 'put("hostname", plan.hostname);', ""), [
    'setting "hostname" of helper-c/plan.c is missing in runner/helper/wire.ts',
  ]);
});

test("wireProblems() names versions that differ", () => {
  assert.equal(problemsWith("helper", "PLAN_VERSION 1", "PLAN_VERSION 2"), [
    "PLAN_VERSION differs: 1 in runner/plan/types.ts, 2 in helper-c, 1 in ARCHITECTURE.md",
  ]);
});

test("wireProblems() names events and fields that one side lacks", () => {
  assert.equal(problemsWith("helper", '"created"', '"made"'), [
    'event "created" is missing in helper-c',
    'event "made" is missing in runner/plan/types.ts and ARCHITECTURE.md',
  ]);
  assert.equal(problemsWith("helper", '"pid"', '"id"'), [
    'event "created": nothing in helper-c writes the field "pid"',
  ]);
});

test("wireProblems() names constants and offsets of records that differ", () => {
  assert.equal(problemsWith("mirror", "FILE: 2", "FILE: 3"), [
    "RecordKind.FILE is 3 in runner/layers/abi.ts, 2 in wasm",
  ]);
  assert.equal(problemsWith("headers", "    uint8_t flags;\n", "    uint8_t flags;\n    uint32_t added;\n"), [
    "record field mode: 32 bits at 12 in wasm/abi.h, 32 at 8 in runner/layers/abi.ts",
  ]);
});

test("wireProblems() reads the real tables: a word taken out of them is missed", () => {
  const root = new URL("../../../", import.meta.url).pathname;
  const read = (path: string) => readFileSync(root + path, "utf8");
  const joined = (folder: string, ending: string) => [...readSources([root + folder], ending).values()].join("\n");
  const real: WireTexts = {
    architecture: read("ARCHITECTURE.md").replace("| `pivot-root` |", "| `other-root` |"),
    types: read("runner/plan/types.ts"),
    encoder: read("runner/helper/wire.ts"),
    table: read("helper-c/plan.c"),
    helper: joined("helper-c", ".c") + joined("helper-c", ".h"),
    headers: joined("wasm", ".h"),
    mirror: read("runner/layers/abi.ts"),
    keeper: read("runner/engine/keep-start.ts") + read("runner/store/kept-starts.ts"),
    launcher: joined("helper-c/launcher", ".c") + joined("helper-c/launcher", ".h"),
  };
  assert.ok(wireProblems(real).includes('op "pivot-root" is missing in ARCHITECTURE.md'));
});

test.run();
