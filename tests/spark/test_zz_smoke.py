import time
def test_smoke_when_then(spark, project):
    p = project('''
    - name: a
      source: {type: delta, query: "select {{ vars.n }} as id"}
      destination: {path: "{{ base_path }}/a", mode: append}
    - name: b
      depends_on: [a]
      source: {type: delta, query: "select * from a"}
      destination: {path: "{{ base_path }}/b", mode: merge, keys: [id]}
    - name: c
      depends_on: [a]
      source: {type: delta, query: "select * from a"}
      destination: {path: "{{ base_path }}/c", format: parquet}
    ''')
    for n in (1,2,3):
        t=time.time()
        r = p.run(batch_id=f"b{n}", vars={"n": n})
        print(r.result.error); print(r.statuses, [ (s.name, s.error, s.duration_seconds, s.counts) for s in r.result.steps], time.time()-t)
    print(p.rows("a"), p.rows("b"), p.rows("c", "parquet"), p.commits("a"))
