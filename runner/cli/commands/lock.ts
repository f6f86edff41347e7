import { boolean, list } from "../flags.ts";
import { LOCK_FLAGS, readLockOptions } from "../lock-flags.ts";
import { parsePlatform } from "../options/platform.ts";
import { CONNECTION_FLAGS, RETRY_FLAGS, readConnection } from "../registry-flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

const { offline, lockfile } = LOCK_FLAGS;

export default defineVerb({
  name: "lock",
  usage: "[IMAGE…]",
  summary: "Pin images to the digests that their tags have now, in the project's tsbox.lock.",
  description:
    "Where ./tsbox.lock is there (or --lockfile or TSBOX_LOCK names one), pull, run and build take the digest that it has for an " +
    "image and a platform, whatever the tag means today; images that it does not have are used as ever, or refused with --frozen. " +
    "Without IMAGE: all that are locked. Images that are locked already stay as they are without --update. Only the file in the current " +
    "folder counts, not those of folders above.",
  flags: {
    update: boolean({ short: "u", help: "lock again what the registry has now" }),
    check: boolean({ help: "change nothing; exit with 1 when the registry has something else than what is locked" }),
    remove: boolean({ help: "take the images out of the lock file" }),
    platform: list(
      { placeholder: "OS/ARCH[/VARIANT]", help: "lock this platform only; repeat (default: all that there are)" },
      parsePlatform,
    ),
    ...CONNECTION_FLAGS,
    ...RETRY_FLAGS,
    offline: { ...offline, help: "lock what the store has, without the network (TSBOX_OFFLINE=1)" },
    lockfile,
  },
  words: { min: 0 },
  cleansUp: true,
  examples: [
    ["tsbox lock alpine:3.20 docker.io/library/node:22", "pin two images for every platform"],
    ["tsbox lock --update", "pin all that are locked to what their tags mean now"],
    ["tsbox lock --check", "exit status 1 when a tag has moved; for a scheduled job"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    if (flags.remove && words.length === 0)
      throw new UsageError("Cannot take images out of the lock file: none is named");
    const { lockImages, unlockImages } = await import("../../engine/lock/lock-images.ts");
    const engine = engineOf(context, readLockOptions({ ...parsed, flags: { ...flags, frozen: false } }));
    if (flags.remove) {
      for (const name of await unlockImages(engine, words)) context.stdout.write(`${name} removed\n`);
      return 0;
    }
    const results = await lockImages(engine, {
      names: words,
      update: flags.update || flags.check,
      platforms: flags.platform,
      dryRun: flags.check,
      connection: readConnection(parsed, context.cwd),
      signal: context.signal,
    });
    for (const { name, change, image, before } of results) {
      const digest = change === "updated" && before ? `${before.digest} → ${image.digest}` : image.digest;
      context.stdout.write(`${name} ${change} ${digest} (${Object.keys(image.platforms).sort().join(", ")})\n`);
    }
    return flags.check && results.some(({ change }) => change !== "unchanged") ? 1 : 0;
  },
});
