SELECT "main"."orders__status" AS "orders__status" FROM "main" AS "main" GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
