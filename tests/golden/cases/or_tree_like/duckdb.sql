SELECT CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "orders__count" FROM "main" AS "main" WHERE (("main"."orders__status" ILIKE $1 ESCAPE '\' OR "main"."orders__status" ILIKE $2 ESCAPE '\') OR ((("main"."orders__city" NOT ILIKE $3 ESCAPE '\') OR "main"."orders__city" IS NULL) AND ("main"."orders__status" IS NULL))) LIMIT 10000
-- $1 %o%
-- $2 %1\%%
-- $3 Ro%
