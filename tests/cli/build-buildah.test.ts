import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { buildWorkspace } from "./support/build.ts";

/*
 * The same Dockerfile by `buildah build --layers`: configs are compared field by field. What differs, and why:
 * - `io.buildah.version` is buildah's own label;
 * - history texts: ours are BuildKit's, which docker writes today; buildah writes those of docker's first builder (`#(nop)`);
 * - WORKDIR of a folder that is missing makes a layer here, as in BuildKit; buildah makes the folder in the next layer.
 */
const DOCKERFILE = [
  "FROM localhost/base AS one",
  "MAINTAINER me",
  "ARG WORD=w",
  'ENV A=1 B="x y"',
  "ENV OLD one two",
  "LABEL k=v",
  "WORKDIR /app",
  "COPY a.txt etc ./",
  "ADD a.txt /new/dir/",
  "COPY --chown=5:6 a.txt /owned",
  "RUN echo $WORD > f",
  "RUN mkdir -m 0750 /d && chown 7:8 /d && ln -s /d /l",
  "EXPOSE 80 53/udp",
  "VOLUME /data",
  "USER 1000",
  "STOPSIGNAL SIGINT",
  "HEALTHCHECK --interval=5s CMD true",
  "ONBUILD RUN echo later",
  'ENTRYPOINT ["/bin/sh", "-c"]',
  "CMD echo hi",
  "",
].join("\n");

need(["user-namespace", "not-root", "buildah"], test)(
  "a config is the same as buildah's, and so are the files",
  async () => {
    await using box = buildWorkspace();
    box.files({ "a.txt": "a", "etc/b": "b", Dockerfile: DOCKERFILE });
    const archive = join(box.dir, "base.tar");
    await box.tsbox("run", "--rm", "base", "true");
    await box.tsbox("tag", "base", "localhost/base");
    await box.tsbox("save", "-o", archive, "localhost/base");
    const store = ["--root", join(box.dir, "b"), "--runroot", join(box.dir, "br"), "--storage-driver", "vfs"];
    const buildah = (...words: string[]) => box.program("buildah", [...store, ...words]);
    const pulled = await buildah("pull", "-q", `docker-archive:${archive}`);
    assert.is(pulled.code, 0, pulled.stderr);
    // crun insists on a cgroup v2 mount, which a test machine may lack; without a runtime buildah isolates by chroot
    const built = await buildah(
      ...["build", "--isolation", "chroot", "--layers", "--pull=never", "--format", "docker"],
      ...["--network", "host", "-q", "-t", "theirs", box.context],
    );
    assert.is(built.code, 0, built.stderr);
    const theirs = join(box.dir, "theirs.tar");
    await buildah("push", "-q", "theirs", `docker-archive:${theirs}:localhost/theirs:latest`);
    assert.is((await box.tsbox("load", "-i", theirs)).code, 0);
    const ours = await box.build(undefined);
    assert.is(ours.code, 0, ours.stderr);

    const config = async (name: string) =>
      JSON.parse((await box.tsbox("inspect", "--format", "{{json .Config}}", name)).stdout);
    const [mine, other] = [await config("img"), await config("localhost/theirs")];
    delete other.Labels["io.buildah.version"];
    for (const field of [
      ...["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "Labels", "ExposedPorts", "Volumes"],
      ...["StopSignal", "Healthcheck", "OnBuild", "Shell"],
    ]) {
      assert.equal(mine[field], other[field], field);
    }
    const listing = async (name: string) => {
      const script =
        "cd / && find . -xdev \\( -path ./proc -o -path ./sys -o -path ./dev -o -path ./data \\) -prune -o -exec stat -c '%n %F %a %u:%g %N' {} + | sort; cat /app/* /new/dir/a.txt /owned";
      const result = await box.tsbox("run", "--rm", "--user", "0", "--entrypoint", "/bin/sh", name, "-c", script);
      return result.stdout;
    };
    writeFileSync(join(box.dir, "lists"), "");
    assert.is(await listing("img"), await listing("localhost/theirs"));
  },
);

test.run();
