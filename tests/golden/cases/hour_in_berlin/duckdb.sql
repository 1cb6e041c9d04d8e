SELECT date_trunc('day', granary_local("by_hour"."orders__created_at_hour", 'Europe/Berlin')) AS "orders__created_at_day", max("by_hour"."orders__mx") AS "orders__mx" FROM "by_hour" AS "by_hour" WHERE ("by_hour"."orders__created_at_hour" >= $1 AND "by_hour"."orders__created_at_hour" < $2) GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 2020-03-27T23:00:00.000
-- $2 2020-03-30T22:00:00.000
