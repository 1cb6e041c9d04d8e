a.s ILIKE '%x%' OR a.s NOT LIKE '20-%' OR "a"."s" ILIKE 'é%'
