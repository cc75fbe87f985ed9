"""The queries of the suites in SQL, in the order of joins that suits best.

One table an attribute, `e` and `v`; its name is the attribute's with `/` and `-` become `_`. `{0}` stands for the
argument, `{join}` for a join that must not be moved: there SQLite's planner would choose a worse order.
A set of rows is asked for, as in Datalog: `distinct` stands wherever rows could come twice.
"""

PEOPLE = {
    "q1": "select e from name where v='Ivan'",
    "q2": "select n.e,a.v from name n join age a on a.e=n.e where n.v='Ivan'",
    "q2-switch": "select n.e,a.v from age a join name n on a.e=n.e where n.v='Ivan'",
    "q3": "select n.e,a.v from name n join age a on a.e=n.e join sex s on s.e=n.e where n.v='Ivan' and s.v='male'",
    "q4": "select n.e,l.v,a.v from name n join last_name l on l.e=n.e join age a on a.e=n.e"
    " join sex s on s.e=n.e where n.v='Ivan' and s.v='male'",
    "q5": "select b.e,l.v,b.v from (select distinct a.v from name n join age a on a.e=n.e where n.v='Ivan') a"
    " join age b on b.v=a.v join last_name l on l.e=b.e",
    "q5-shortcircuit": "select n.e,n.v,l.v,a.v,s.v from name n join age a on a.e=n.e join last_name l on l.e=n.e"
    " join sex s on s.e=n.e where n.v='Anastasia' and a.v=35",
    "qpred1": "select e,v from salary where v>50000",
    "qpred2": "select e,v from salary where v>50000",
    "qagg": "select n.v,count(*),avg(s.v),max(a.v) from name n join salary s on s.e=n.e join age a on a.e=n.e"
    " group by n.v",
}

CATALOGUE = {
    "m1": "select distinct t.v,y.v from artist_name n join release_artists ra on ra.v=n.e"
    " join release_name t on t.e=ra.e join release_year y on y.e=ra.e where n.v={0}",
    "m2": "select distinct t.v,ln.v,cn.v from artist_name n join release_artists ra on ra.v=n.e"
    " join release_name t on t.e=ra.e join release_labels rl on rl.e=ra.e join label_name ln on ln.e=rl.v"
    " join release_country c on c.e=ra.e join country_name cn on cn.e=c.v where n.v={0}",
    "m3": "select distinct t.v from artist_name n join release_artists ra on ra.v=n.e"
    " join release_name t on t.e=ra.e where n.v={0}",
    "m4": "select v,count(*) from release_year group by v",
    # A release, an artist of it and that artist's one country: no row comes twice.
    "m5": "select cn.v,count(*) from release_artists ra join artist_country c on c.e=ra.v"
    " join country_name cn on cn.e=c.v group by cn.v",
    "m6": "select distinct n.v from label_name ln join release_labels rl on rl.v=ln.e"
    " join release_artists ra on ra.e=rl.e join artist_name n on n.e=ra.v where ln.v={0}",
    "m7": "select distinct n1.v,n2.v from artist_name n1 join release_artists ra1 on ra1.v=n1.e"
    " join release_labels l1 on l1.e=ra1.e join release_year y1 on y1.e=ra1.e join release_labels l2 on l2.v=l1.v"
    " join release_year y2 on y2.e=l2.e and y2.v=y1.v join release_artists ra2 on ra2.e=l2.e"
    " join artist_name n2 on n2.e=ra2.v where n1.v={0} and ra2.v<>ra1.v",
    "m8": "select y.e,t.v from release_year y join release_name t on t.e=y.e"
    " where y.v=1970 and not exists (select 1 from release_labels l where l.e=y.e)",
    "m9": "select distinct n2.v from artist_name n1 join release_artists x1 on x1.v=n1.e"
    " join release_artists x2 on x2.e=x1.e and x2.v<>x1.v join artist_name n2 on n2.e=x2.v where n1.v={0}",
    "m10": "with recursive far(a) as (select x2.v from artist_name n1 {join} release_artists x1 on x1.v=n1.e"
    " {join} release_artists x2 on x2.e=x1.e and x2.v<>x1.v where n1.v={0}"
    " union select x2.v from far {join} release_artists x1 on x1.v=far.a"
    " {join} release_artists x2 on x2.e=x1.e and x2.v<>x1.v)"
    " select distinct n2.v from far {join} artist_name n2 on n2.e=far.a",
    "m11": "select distinct n.v,t.v,ln.v from release_year y {join} release_artists ra on ra.e=y.e"
    " {join} artist_name n on n.e=ra.v {join} release_name t on t.e=y.e {join} release_labels rl on rl.e=y.e"
    " {join} label_name ln on ln.e=rl.v where y.v<1970",
}

CLOSURE = {
    "right": "with recursive r(a,b) as (select a,b from f union select f.a,r.b from f join r on r.a=f.b)"
    " select a,b from r",
    "left": "with recursive r(a,b) as (select a,b from f union select r.a,f.b from r join f on f.a=r.b)"
    " select a,b from r",
}

# The end that is given is written into them by hand, which Datalog needs not.
REACHABLE = {
    "D1": "with recursive r(x) as (select b from f where a={0} union select f.b from f join r on f.a=r.x)"
    " select x from r",
    "D2": "with recursive r(x) as (select a from f where b={0} union select f.a from f join r on f.b=r.x)"
    " select x from r",
}
