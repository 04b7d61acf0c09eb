#pragma once

// The verdict of the sighting `s` at a moment, of the columns of `verdicts v` (its newest) and
// `past_verdicts`: macros, because the texts are put together when this is compiled.
#define WM_VERDICT_AT(moment, column)                                                          \
  "CASE WHEN v.judged_us <= " moment " THEN v." column " ELSE (SELECT p." column               \
  " FROM past_verdicts p WHERE p.endpoint = s.endpoint AND p.path_sha256 = s.path_sha256 AND " \
  "p.from_us <= " moment " AND p.until_us > " moment " ORDER BY p.from_us DESC LIMIT 1) END"
#define WM_SIGHTINGS_AND_VERDICTS                                                    \
  "sightings s LEFT JOIN verdicts v ON v.endpoint = s.endpoint AND v.path_sha256 = " \
  "s.path_sha256"
// Of a row that went: when it went. Of one that is present: now, and always.
#define WM_LAST_MOMENT "coalesce(s.gone_us, 9223372036854775807)"
