SELECT min("u"."c0") AS "orders__mn" FROM (SELECT min("main"."orders__mn") AS "c0" FROM "main" AS "main" WHERE ("main"."orders__created_at_day" >= $1 AND "main"."orders__created_at_day" < $2) UNION ALL SELECT min("by_hour"."orders__mn") AS "c0" FROM "by_hour" AS "by_hour" WHERE ("by_hour"."orders__created_at_hour" >= $3 AND "by_hour"."orders__created_at_hour" < $4) UNION ALL SELECT min("by_hour"."orders__mn") AS "c0" FROM "by_hour" AS "by_hour" WHERE ("by_hour"."orders__created_at_hour" >= $5 AND "by_hour"."orders__created_at_hour" < $6) UNION ALL SELECT min("orders".amount) AS "c0" FROM orders AS "orders" WHERE ("orders".created_at >= $7 AND "orders".created_at < $8)) AS "u" LIMIT 10000
-- $1 2020-01-11T00:00:00.000
-- $2 2020-03-20T00:00:00.000
-- $3 2020-01-10T12:00:00.000
-- $4 2020-01-11T00:00:00.000
-- $5 2020-03-20T00:00:00.000
-- $6 2020-03-20T10:00:00.000
-- $7 2020-03-20T10:00:00.000
-- $8 2020-03-20T10:30:00.000
