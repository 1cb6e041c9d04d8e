a.s <> 'x' AND -1.5 < a.n OR a.n!=-5 AND a.t >= '2020-01-01'
