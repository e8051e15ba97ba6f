/**
 * Three small HTTP services that stand in for whatever a real page asks: each computes something true
 * and takes its time about it. They listen on loopback ports the system chooses.
 */

/** A running service. */
export interface SlowService extends AsyncDisposable {
  /** Where it answers, without a trailing slash. */
  readonly url: string;
}

type Compute = (query: URLSearchParams) => unknown;

function serve(delayMs: number, compute: Compute): SlowService {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (req) => {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    return Response.json(compute(new URL(req.url).searchParams));
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Day length and solar noon height for a latitude today, by the usual declination formula. 200 ms. */
export function sunService(): SlowService {
  return serve(200, (query) => {
    const latitude = Number(query.get("latitude")) * Math.PI / 180;
    const now = new Date();
    const newYear = Date.UTC(now.getUTCFullYear(), 0, 1);
    const day = Math.floor((now.getTime() - newYear) / 86_400_000) + 1;
    const declination = 23.44 * Math.PI / 180 * Math.sin(2 * Math.PI * (day - 81) / 365.25);
    const cosine = -Math.tan(latitude) * Math.tan(declination);
    const hours = cosine <= -1 ? 24 : cosine >= 1 ? 0 : Math.acos(cosine) * 24 / Math.PI;
    const noon = 90 - Math.abs(latitude - declination) * 180 / Math.PI;
    return {
      daylight: `${Math.floor(hours)} h ${String(Math.floor(hours % 1 * 60)).padStart(2, "0")} min`,
      noonHeight: `${Math.round(noon)}°`,
    };
  });
}

/** Air pressure, oxygen share and boiling point of water at a height, by the barometric formula. 120 ms. */
export function airService(): SlowService {
  return serve(120, (query) => {
    const height = Number(query.get("height"));
    const pressure = 1013.25 * (1 - 0.0065 * height / 288.15) ** 5.255;
    // Inverse of the Clausius–Clapeyron relation with the heat of vaporisation of water.
    const boiling = 1 / (1 / 373.15 - 8.314 * Math.log(pressure / 1013.25) / 40_650) - 273.15;
    return {
      pressure: `${Math.round(pressure)} hPa`,
      oxygen: `${Math.round(pressure / 1013.25 * 100)} %`,
      boiling: `${boiling.toFixed(1)} °C`,
    };
  });
}

/** How far one sees from a height, and how much of the Earth that is. 60 ms. */
export function horizonService(): SlowService {
  return serve(60, (query) => {
    const height = Number(query.get("height"));
    const radius = 6_371_000;
    const distance = Math.sqrt(2 * radius * height + height * height);
    const area = 2 * Math.PI * radius * radius * height / (radius + height);
    return {
      distance: `${Math.round(distance / 1000)} km`,
      area: `${Math.round(area / 1e9)} 000 km²`,
    };
  });
}
