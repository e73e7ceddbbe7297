// Columns of numbers as `toil_core.monitor.report.columns` packs them.

async function unpack(packed) {
  const text = atob(packed.data), raw = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) raw[i] = text.charCodeAt(i);
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const found = { rows: packed.rows };
  let place = 0;
  for (const [name, width, growing] of packed.columns) {
    const column = new Float64Array(packed.rows);
    for (let plane = 0, weight = 1; plane < width; plane += 1, weight *= 256, place += packed.rows)
      for (let row = 0; row < packed.rows; row += 1) column[row] += planes[place + row] * weight;
    if (growing) for (let row = 1; row < packed.rows; row += 1) column[row] += column[row - 1];
    found[name] = column;
  }
  found.ids = packed.rows ? new TextDecoder().decode(planes.subarray(place)).split("\n") : [];
  return found;
}
