import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ConfigInstruction, changeConfig, workdirOf } from "../../../runner/build/config.ts";
import { parseDockerfile } from "../../../runner/build/dockerfile/parse.ts";
import { Expander } from "../../../runner/build/variables.ts";
import type { ProcessConfig } from "../../../runner/oci/types.ts";

function build(text: string, base: ProcessConfig = {}): { config: ProcessConfig; history: string[] } {
  const file = parseDockerfile(`FROM x\n${text}\n`, "Dockerfile");
  const expander = new Expander(file.source, file.escapeChar);
  let config = base;
  let cmdSet = false;
  const history: string[] = [];
  for (const one of file.instructions.slice(1) as ConfigInstruction[]) {
    const env = new Map((config.Env ?? []).map((word) => word.split("=", 2) as [string, string]));
    const change = changeConfig(config, one, {
      source: file.source,
      expander,
      lookup: (name) => env.get(name),
      cmdSet,
    });
    ({ config } = change);
    if (one.kind === "CMD") cmdSet = true;
    history.push(change.createdBy);
  }
  return { config, history };
}

test("ENV replaces where the variable stands, and sees the values of before", () => {
  const { config, history } = build("ENV A=2 B=$A\nENV C=${A}x", { Env: ["PATH=/bin", "A=1"] });
  assert.equal(config.Env, ["PATH=/bin", "A=2", "B=1", "C=2x"]);
  assert.equal(history, ["ENV A=2 B=1", "ENV C=2x"]);
});

test("history as Docker writes it", () => {
  const { history } = build(
    [
      'CMD ["python3", "app.py"]',
      "CMD echo $HOME",
      'ENTRYPOINT ["/e"]',
      "EXPOSE 80 53/udp",
      'VOLUME ["/a b", "/c"]',
      'LABEL a=b c="d e"',
      "USER app:staff",
      "STOPSIGNAL SIGINT",
      'SHELL ["/bin/bash", "-c"]',
      "ONBUILD RUN make",
      "MAINTAINER A B <a@b>",
      "HEALTHCHECK --interval=30s --retries=3 CMD true",
    ].join("\n"),
  );
  assert.equal(history, [
    'CMD ["python3" "app.py"]',
    'CMD ["/bin/sh" "-c" "echo $HOME"]',
    'ENTRYPOINT ["/e"]',
    "EXPOSE map[53/udp:{} 80/tcp:{}]",
    "VOLUME [/a b /c]",
    "LABEL a=b c=d e",
    "USER app:staff",
    "STOPSIGNAL SIGINT",
    "SHELL [/bin/bash -c]",
    "ONBUILD RUN make",
    "MAINTAINER A B <a@b>",
    `HEALTHCHECK &{["CMD-SHELL" "true"] "30s" "0s" "0s" "0s" '\\x03'}`,
  ]);
});

test("every combination of ENTRYPOINT and CMD, in shell and exec form", () => {
  const sh = ["/bin/sh", "-c"];
  const base = { Cmd: ["base"] };
  assert.equal(build('ENTRYPOINT ["e"]', base).config.Cmd, undefined, "the base's command goes");
  assert.equal(build('CMD ["c"]\nENTRYPOINT ["e"]', base).config, { Cmd: ["c"], Entrypoint: ["e"] });
  assert.equal(build('ENTRYPOINT ["e"]\nCMD c', base).config, { Entrypoint: ["e"], Cmd: [...sh, "c"] });
  assert.equal(build('ENTRYPOINT e\nCMD ["c"]', base).config, { Entrypoint: [...sh, "e"], Cmd: ["c"] });
  assert.equal(build("ENTRYPOINT []\nCMD []", base).config, { Entrypoint: [], Cmd: [] });
  assert.equal(build('SHELL ["bash", "-c"]\nCMD c').config.Cmd, ["bash", "-c", "c"]);
});

test("ranges of ports, and what is none", () => {
  assert.equal(Object.keys(build("EXPOSE 8000-8002/TCP").config.ExposedPorts ?? {}), [
    "8000/tcp",
    "8001/tcp",
    "8002/tcp",
  ]);
  assert.throws(() => build("EXPOSE http"), /2:8: "http" is not a port/);
});

test("working directories build on each other", () => {
  assert.is(workdirOf({}, "a"), "/a");
  assert.is(workdirOf({ WorkingDir: "/a" }, "b/"), "/a/b");
  assert.is(workdirOf({ WorkingDir: "/a" }, "../c"), "/c");
  assert.is(workdirOf({ WorkingDir: "/a" }, "/x/./y"), "/x/y");
});

test.run();
