import type { ContainerRecord } from "../container/record.ts";
import { containerSizes } from "./disk-usage.ts";
import type { Engine } from "./engine.ts";
import type { ListedContainer } from "./list.ts";
import { treeSizes } from "./tree-size.ts";

/** Bytes that each container has written, and those with its image's layers. */
export async function wholeSizes(
  engine: Engine,
  containers: ListedContainer[],
): Promise<{ own: number; whole: number }[]> {
  const own = await containerSizes(engine, containers);
  const layers = [...new Set(containers.flatMap(({ record }) => layersOf(record)))];
  const sizes = new Map((await treeSizes(engine, layers)).map((size, i) => [layers[i], size]));
  return containers.map(({ record }, i) => {
    const below = layersOf(record).reduce((sum, layer) => sum + (sizes.get(layer) ?? 0), 0);
    return { own: own[i] ?? 0, whole: (own[i] ?? 0) + below };
  });
}

/** Of an image's; a root directory of the host's is not counted. */
function layersOf(record: ContainerRecord): string[] {
  return record.imageID === "" ? [] : record.lowers.slice(1);
}
