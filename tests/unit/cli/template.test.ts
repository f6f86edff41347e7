import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileRows, compileTemplate } from "../../../runner/cli/template.ts";

const container = {
  Id: "4f2a",
  Name: "web",
  State: { Pid: 4242, Running: true, ExitCode: 0, Error: "" },
  Config: { Labels: { "org.name": "x", b: "2", a: "1" }, Env: ["A=1", "B=2"], Cmd: null },
  Mounts: [{ Source: "/src", Target: "/dst" }],
  Empty: [],
  Label: (key: string) => `label ${key}`,
};

function render(source: string, data: unknown = container): string {
  return compileTemplate(source)(data);
}

function fails(source: string, message: RegExp, hint?: RegExp): void {
  try {
    render(source);
  } catch (error) {
    assert.instance(error, Error);
    assert.match((error as Error).message, message);
    if (hint !== undefined) assert.match(String((error as { hint?: string }).hint), hint);
    return;
  }
  assert.unreachable(`"${source}" was accepted`);
}

const GOOD: [string, string, string][] = [
  ["a field", "{{.State.Pid}}", "4242"],
  ["text around actions", "pid={{ .State.Pid }}!", "pid=4242!"],
  ["a number as JSON", "{{json .State.Pid}}", "4242"],
  ["an object as JSON, in its own order", "{{json .State}}", '{"Pid":4242,"Running":true,"ExitCode":0,"Error":""}'],
  ["markup in JSON is left alone", '{{json "<a&b>"}}', '"<a&b>"'],
  ["null as JSON", "{{json .Config.Cmd}}", "null"],
  ["a list as Go shows it", "{{.Config.Env}}", "[A=1 B=2]"],
  ["a map as Go shows it, sorted", "{{.Config.Labels}}", "map[a:1 b:2 org.name:x]"],
  ["nothing", "{{.Config.Cmd}}", "<no value>"],
  ["a missing label", "{{.Config.Labels.nope}}", "<no value>"],
  ["index of a label", '{{index .Config.Labels "org.name"}}', "x"],
  ["index of a missing label is empty", '{{index .Config.Labels "nope"}}', ""],
  ["index of a list", "{{index .Config.Env 1}}", "B=2"],
  ["index through a list, a map and a field", '{{(index .Mounts 0).Source}}:{{index .Mounts 0 "Target"}}', "/src:/dst"],
  ["range over a list", "{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"],
  [
    "range over a map is sorted by key",
    "{{range $k,$v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
    "a=1;b=2;org.name=x;",
  ],
  ["range with index and item", "{{range $i, $e := .Config.Env}}{{$i}}:{{$e}} {{end}}", "0:A=1 1:B=2 "],
  ["range with one variable gives the item", "{{range $e := .Config.Env}}{{$e}}{{end}}", "A=1B=2"],
  ["range over nothing takes else", "{{range .Empty}}x{{else}}none{{end}}", "none"],
  ["range over null takes else", "{{range .Config.Cmd}}x{{else}}none{{end}}", "none"],
  ["range over a number", "{{range 3}}{{.}}{{end}}", "012"],
  ["break and continue", '{{range .Config.Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{break}}{{end}}', "B=2"],
  ["$ is the whole value inside range", "{{range .Mounts}}{{$.Name}}{{.Source}}{{end}}", "web/src"],
  ["if, else if, else", "{{if .Empty}}a{{else if .State.Running}}b{{else}}c{{end}}", "b"],
  ["else of an else if", "{{if .Empty}}a{{else if .State.Error}}b{{else}}c{{end}}", "c"],
  ["with sets the dot", "{{with .State}}{{.Pid}}{{end}}", "4242"],
  ["with of nothing takes else", "{{with .Config.Cmd}}x{{else}}{{.Name}}{{end}}", "web"],
  ["a variable", "{{$x := .Name}}{{$x}}-{{$x}}", "web-web"],
  ["a variable's field", "{{$s := .State}}{{$s.Pid}}", "4242"],
  ["assignment reaches the outer variable", '{{$x := "a"}}{{if true}}{{$x = "b"}}{{end}}{{$x}}', "b"],
  ["declaration inside stays inside", '{{$x := "a"}}{{if true}}{{$x := "b"}}{{end}}{{$x}}', "a"],
  ["a pipeline", '{{.Name | upper | printf "<%s>"}}', "<WEB>"],
  ["parentheses", "{{eq (len .Config.Env) 2}}", "true"],
  ["a field of a parenthesis", "{{(index .Mounts 0).Target}}", "/dst"],
  ["a comment", "a{{/* b */}}c", "ac"],
  ["a comment with trim markers", "a {{- /* b */ -}} c", "ac"],
  ["trim markers", "a \n {{- .Name -}} \n b", "awebb"],
  ["a minus is not a trim marker", "a {{-3}} b", "a -3 b"],
  ["closing braces in a string", '{{"}}"}}', "}}"],
  ["a raw string", '{{`a\\n"b`}}', 'a\\n"b'],
  ["escapes", '{{"\\t\\"\\x41\\u00e9\\101"}}', '\t"AéA'],
  ["escapes in the text itself", "{{.Name}}\\t{{.Id}}\\n", "web\t4f2a\n"],
  ["a character constant", "{{'a'}}", "97"],
  ["numbers", "{{0x10}} {{1_000}} {{010}} {{-2}} {{1.5}}", "16 1000 8 -2 1.5"],
  [
    "printf",
    '{{printf "%-5s|%05d|%.2f|%q|%x|%v|%t|%%" .Name 42 1.5 "a\\"b" 255 .Config.Env true}}',
    'web  |00042|1.50|"a\\"b"|ff|[A=1 B=2]|true|%',
  ],
  ["printf with too few values", '{{printf "%s %s" "a"}}', "a %!s(MISSING)"],
  ["printf with too many values", '{{printf "%s" "a" 1}}', "a%!(EXTRA int=1)"],
  ["printf with a wrong verb", '{{printf "%d" "a"}}', "%!d(string=a)"],
  ["print and println", '{{print 1 2 "a" "b"}}|{{println "a" 1}}', "1 2ab|a 1\n"],
  ["len of text, list, map", '{{len "é"}} {{len .Config.Env}} {{len .Config.Labels}}', "2 2 3"],
  ["slice", '{{slice .Id 1 3}} {{slice "abc" 2}} {{slice .Config.Env 1}}', "f2 c [B=2]"],
  ["eq with one of several", '{{eq .Name "db" "web"}}', "true"],
  ["comparisons", '{{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}', "true true true true false"],
  ["and gives the value that decides", "{{and .Name .State.Error}}|{{and 1 2}}", "|2"],
  ["or gives the value that decides", "{{or .State.Error .Name}}", "web"],
  ["and does not look further than it must", "{{and .Config.Cmd .Config.Cmd.Nope}}", "<no value>"],
  ["not", "{{not .State.Running}}", "false"],
  ["join and split", '{{join .Config.Env ", "}} {{index (split "a:b" ":") 1}}', "A=1, B=2 b"],
  ["letters", '{{upper "a"}}{{lower "B"}}{{title "ab cd"}}', "AbAb Cd"],
  ["trim, pad, truncate", '{{trim " a "}}{{trim "xax" "x"}}{{pad "b" 1 2}}{{truncate "abcdef" 3}}', "aa b  abc"],
  [
    "html, js, urlquery",
    `{{html "<a&'>"}} {{js "'\\n"}} {{urlquery "a b&c"}}`,
    "&lt;a&amp;&#39;&gt; \\'\\u000A a+b%26c",
  ],
  ["a method with an argument", '{{.Label "k"}}', "label k"],
  ["a method with a piped argument", '{{"k" | .Label}}', "label k"],
  ["define and template", '{{define "T"}}<{{.}}>{{end}}{{template "T" .Name}}', "<web>"],
  ["block", '{{block "B" .State}}{{.Pid}}{{end}}', "4242"],
  ["nothing at all", "", ""],
];
for (const [name, source, expected] of GOOD) {
  test(`a template prints ${name}`, () => assert.is(render(source), expected));
}

const BAD: [string, string, RegExp, RegExp?][] = [
  ["a missing field", "{{.Stat.Pid}}", /no field "Stat" at \.Stat\.Pid/, /did you mean "State"\? fields are Id, Name/],
  ["an inherited field", "{{.constructor}}", /no field "constructor"/],
  ["a field of a string", "{{.Name.First}}", /no field "First" in a string at \.Name\.First/],
  ["a field of nothing", "{{.Config.Cmd.First}}", /no field "First" in <nil>/],
  ["an unknown function", "{{jsn .}}", /function "jsn" not defined at character 3/, /did you mean "json"/],
  ["a field without its dot", "{{Names}}", /function "Names" not defined/, /"\.Names"/],
  ["an unclosed action", "{{.Name", /unclosed action at character 1/],
  ["an empty action", "{{}}", /missing value for command/],
  ["a missing end", "{{if .Name}}x", /missing \{\{end\}\} of \{\{if\}\}/],
  ["a stray end", "x{{end}}", /unexpected \{\{end\}\}/],
  ["a second else", "{{if 1}}{{else}}{{else}}{{end}}", /unexpected second \{\{else\}\}/],
  ["an unknown variable", "{{$x}}", /undefined variable "\$x"/],
  ["a variable out of its scope", "{{if 1}}{{$x := 1}}{{end}}{{$x}}", /undefined variable/],
  ["an open string", '{{"a}}', /unterminated quoted string/],
  ["an open comment", "{{/* a }}", /unexpected "\/"/],
  ["break outside range", "{{break}}", /outside \{\{range\}\}/],
  ["index out of range", "{{index .Config.Env 5}}", /5 is out of range, length is 2/],
  ["index of nothing", '{{index .Config.Cmd "a"}}', /the value is nil/],
  ["a slice out of range", '{{slice "abc" 2 9}}', /out of range/],
  ["too few values", "{{split .Name}}", /split: it takes 2 values, got 1/],
  ["different types compared", '{{eq 1 "a"}}', /different types/],
  ["arguments for a field", '{{.Name "x"}}', /\.Name is not a function/],
  ["a pipeline into a constant", "{{.Name | 3}}", /cannot take the pipeline/],
  ["range over a string", "{{range .Name}}{{end}}", /range cannot go over a string/],
  ["an unknown template", '{{template "X"}}', /no template "X"/],
  ["a template that never ends", '{{define "T"}}{{template "T"}}{{end}}{{template "T"}}', /calls itself for ever/],
  ["a wrong character", "{{.Name ! }}", /unexpected "!" at character 9/],
];
for (const [name, source, message, hint] of BAD) {
  test(`a template is refused for ${name}`, () => fails(source, message, hint));
}

const rows = [
  { ID: "aa", Names: "a-rather-long-name", Label: (key: string) => key },
  { ID: "bb", Names: "", Label: () => "" },
];
const headings = { ID: "CONTAINER ID", Names: "NAMES", Label: (key: string) => key };

test("rows are printed one a line", () => {
  assert.is(compileRows("{{.ID}} {{.Names}}", headings)(rows), "aa a-rather-long-name\nbb \n");
});

test("a table aligns its columns below their headings", () => {
  assert.is(
    compileRows("table {{.Names}}\\t{{.ID}}", headings)(rows),
    "NAMES                CONTAINER ID\na-rather-long-name   aa\n                     bb\n",
  );
});

test("a table keeps a heading whatever is done to the column", () => {
  assert.is(
    compileRows('table {{lower .ID}}\t{{.Label "k"}}', headings)(rows.slice(0, 1)),
    "CONTAINER ID   k\naa             k\n",
  );
});

test("a word that begins with table is text", () => {
  assert.is(compileRows("tables {{.ID}}", headings)(rows.slice(0, 1)), "tables aa\n");
});

test.run();
