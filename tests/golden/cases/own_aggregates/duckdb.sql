SELECT "orders".status AS "orders__status", (sum("orders".amount)) / (count(1)) AS "orders__own" FROM orders AS "orders" GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 ASC NULLS LAST LIMIT 10000
