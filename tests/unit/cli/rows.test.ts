import { test } from "uvu";
import * as assert from "uvu/assert";
import { matchesGlob, parseFilters } from "../../../runner/cli/filter.ts";
import { listPrinter } from "../../../runner/cli/list-output.ts";
import {
  filterImages,
  HISTORY_HEADINGS,
  HISTORY_TABLE,
  historyRow,
  IMAGE_FILTERS,
  IMAGES_HEADINGS,
  IMAGES_TABLE,
  type ImageItem,
  imageRows,
  splitName,
} from "../../../runner/cli/rows-images.ts";
import {
  type ContainerItem,
  containerRow,
  filterContainers,
  impliesAll,
  PS_FILTERS,
  PS_HEADINGS,
  PS_TABLE,
  statusText,
} from "../../../runner/cli/rows-ps.ts";
import { ellipsis, formatTable, shortId } from "../../../runner/cli/table.ts";

const now = Date.parse("2024-05-01T12:00:00Z");
const id = (digit: string) => digit.repeat(64);

const web: ContainerItem = {
  record: {
    id: id("a"),
    name: "web",
    created: "2024-05-01T11:00:00Z",
    image: "busybox:1.37.0",
    imageID: `sha256:${id("1")}`,
    argv: ["httpd", "-f", "-h", "/srv/something"],
    labels: { tier: "front", "org.my-key": "v" },
    network: "none",
    mounts: [{ source: "/home/dev/site", target: "/srv" }],
  },
  state: {
    status: "running",
    pid: 42,
    exitCode: 0,
    startedAt: "2024-05-01T11:58:00.123456789Z",
    finishedAt: "0001-01-01T00:00:00Z",
  },
};
const job: ContainerItem = {
  record: {
    ...web.record,
    id: id("b"),
    name: "job",
    created: "2024-05-01T10:00:00Z",
    argv: ["true"],
    labels: {},
    mounts: [],
  },
  state: { ...web.state, status: "exited", exitCode: 3, finishedAt: "2024-05-01T11:59:57Z" },
};

test("ps prints docker's columns", () => {
  const print = listPrinter({ format: undefined, quiet: false, table: PS_TABLE, id: "ID", headings: PS_HEADINGS });
  assert.is(
    print([containerRow(web, now, true), containerRow(job, now, true)]),
    [
      "CONTAINER ID   IMAGE            COMMAND                  CREATED             STATUS                     PORTS     NAMES",
      'aaaaaaaaaaaa   busybox:1.37.0   "httpd -f -h /srv/so…"   About an hour ago   Up About a minute                    web',
      'bbbbbbbbbbbb   busybox:1.37.0   "true"                   2 hours ago         Exited (3) 3 seconds ago             job',
      "",
    ].join("\n"),
  );
});

test("ps -q prints ids, --format what it says", () => {
  const options = { table: PS_TABLE, id: "ID", headings: PS_HEADINGS };
  assert.is(
    listPrinter({ ...options, format: undefined, quiet: true })([containerRow(web, now, false)]),
    `${id("a")}\n`,
  );
  const custom = listPrinter({ ...options, format: 'table {{.Names}}\\t{{.Label "org.my-key"}}', quiet: false });
  assert.is(custom([containerRow(web, now, true)]), "NAMES     my key\nweb       v\n");
  const json = listPrinter({ ...options, format: "json", quiet: false })([containerRow(web, now, true)]);
  assert.is(JSON.parse(json).Status, "Up About a minute");
  assert.is(json.split("\n").length, 2);
});

test("a state is told as docker tells it", () => {
  assert.is(statusText({ ...web.state, status: "created" }, now), "Created");
  assert.is(statusText({ ...job.state, finishedAt: "0001-01-01T00:00:00Z", exitCode: 137 }, now), "Exited (137)");
});

test("control characters of names and commands are made visible", () => {
  const evil = { ...web, record: { ...web.record, argv: ["a\x1b[2Jb\n"] } };
  assert.match(JSON.stringify(containerRow(evil, now, false)), /a\\\\x1b\[2Jb\\\\x0a/);
});

test("ps filters by every key", () => {
  const names = (...words: string[]) =>
    filterContainers([web, job], parseFilters(words, PS_FILTERS)).map(({ record }) => record.name);
  assert.equal(names("name=^we"), ["web"]);
  assert.equal(names("name=["), []);
  assert.equal(names("id=bbb"), ["job"]);
  assert.equal(names("label=tier"), ["web"]);
  assert.equal(names("label=tier=back"), []);
  assert.equal(names("label=tier", "label=nope"), []);
  assert.equal(names("status=exited", "status=running"), ["web", "job"]);
  assert.equal(names("exited=3"), ["job"]);
  assert.equal(names("ancestor=busybox:1.37.0"), ["web", "job"]);
  assert.equal(names(`ancestor=${"1".repeat(12)}`), ["web", "job"]);
  assert.equal(names("ancestor=alpine"), []);
  assert.equal(names("before=web"), ["job"]);
  assert.equal(names("since=job"), ["web"]);
  assert.throws(() => names("since=nope"), /no name or id matches/);
  assert.equal(names("until=0s", "restart-policy=no"), ["web", "job"]);
  assert.throws(() => names("status=asleep"), /expected created/);
  assert.equal(names("volume=/srv"), ["web"]);
  assert.equal(names("network=none", "name=job"), ["job"]);
  assert.ok(impliesAll(parseFilters(["exited=0"], PS_FILTERS)));
});

test("an unknown filter is named with the nearest", () => {
  assert.throws(
    () => parseFilters(["nam=x"], PS_FILTERS),
    (error: { hint?: string }) => /"name"/.test(error.hint ?? ""),
  );
  assert.throws(() => parseFilters(["name"], PS_FILTERS), /expected KEY=VALUE/);
});

const images: ImageItem[] = [
  {
    id: `sha256:${id("1")}`,
    names: ["busybox:1.37.0", "localhost:5000/a/bb:x"],
    created: "2024-04-20T12:00:00Z",
    size: 4_270_123,
    labels: { a: "b" },
  },
  { id: `sha256:${id("2")}`, names: [], size: 0, labels: {} },
];

test("images prints docker's columns, one row a name", () => {
  const print = listPrinter({ format: "", quiet: false, table: IMAGES_TABLE, id: "ID", headings: IMAGES_HEADINGS });
  assert.is(
    print(images.flatMap((item) => imageRows(item, now, true))),
    [
      "REPOSITORY            TAG       IMAGE ID       CREATED       SIZE",
      "busybox               1.37.0    111111111111   11 days ago   4.27MB",
      "localhost:5000/a/bb   x         111111111111   11 days ago   4.27MB",
      "<none>                <none>    222222222222   N/A           0B",
      "",
    ].join("\n"),
  );
});

test("images filters by every key", () => {
  const count = (...words: string[]) => filterImages(images, parseFilters(words, IMAGE_FILTERS), () => now).length;
  assert.is(count("dangling=true"), 1);
  assert.is(count("dangling=false"), 1);
  assert.is(count("label=a=b"), 1);
  assert.is(count("reference=busy*"), 1);
  assert.is(count("reference=*:x"), 1);
  assert.is(count("reference=alpine"), 0);
  assert.is(count("until=10m"), 1);
  assert.throws(() => count("dangling=maybe"), /true or false/);
});

test("a name is split at its last colon", () => {
  assert.equal(splitName("localhost:5000/a"), { repository: "localhost:5000/a", tag: "<none>" });
  assert.equal(splitName("localhost:5000/a:1"), { repository: "localhost:5000/a", tag: "1" });
  assert.equal(splitName(`a@sha256:${id("1")}`), { repository: "a", tag: "<none>" });
});

test("matchesGlob() does not cross slashes", () => {
  assert.ok(matchesGlob("a.b", "a.?"));
  assert.not(matchesGlob("axb", "a.b"));
  assert.not(matchesGlob("a/b", "*"));
});

test("history prints docker's columns", () => {
  const print = listPrinter({
    format: undefined,
    quiet: false,
    table: HISTORY_TABLE,
    id: "ID",
    headings: HISTORY_HEADINGS,
  });
  const step = {
    id: `sha256:${id("1")}`,
    created: "2024-04-20T12:00:00Z",
    createdBy: 'CMD\t["sh"]\n',
    size: 0,
    comment: "",
  };
  const base = { createdBy: "ADD x".repeat(20), size: 4_270_123, comment: "by hand" };
  assert.is(
    print([step, base].map((item) => historyRow(item, now, true, true))),
    [
      "IMAGE          CREATED       CREATED BY                                      SIZE      COMMENT",
      '111111111111   11 days ago   CMD ["sh"]                                      0B        ',
      "<missing>      N/A           ADD xADD xADD xADD xADD xADD xADD xADD xADD …   4.27MB    by hand",
      "",
    ].join("\n"),
  );
});

test("columns are as wide as what they show", () => {
  assert.is(
    formatTable([
      ["a", "b"],
      ["longer than ten", "c"],
    ]),
    "a                 b\nlonger than ten   c\n",
  );
  assert.is(formatTable([["é\u0301", "b"]]), "é\u0301         b\n");
  assert.is(formatTable([]), "");
});

test("long texts end in an ellipsis", () => {
  assert.is(ellipsis("abcdef", 4), "abc…");
  assert.is(ellipsis("abcd", 4), "abcd");
  assert.is(shortId(`sha256:${id("1")}`), "1".repeat(12));
});

test.run();
