;; Datomic's peer library, in memory. usage: clojure.main datomic.clj DIR SUITE...; see common.clj
(load-file (str (.getParent (java.io.File. ^String *file*)) "/common.clj"))
(ns datomic
  (:require [common :refer [cases catalogue edges file forms line measure middle now people person-keys root
                            run-cases runs size wanted work]]
            [datomic.api :as d]))

(def timeout-ms 60000)

(defn attribute [ident type & {:keys [many index]}]
  (cond-> {:db/ident ident :db/valueType (keyword "db.type" type)
           :db/cardinality (if many :db.cardinality/many :db.cardinality/one)}
    index (assoc :db/index true)))

(def schema
  [(attribute :name "string" :index true) (attribute :last-name "string" :index true)
   (attribute :sex "keyword" :index true) (attribute :age "long" :index true)
   (attribute :salary "long" :index true) (attribute :node "string")
   (attribute :follows "ref" :many true) (attribute :dep "ref" :many true)])

(defn connection [schema]
  (let [uri (str "datomic:mem://" (d/squuid))]
    (d/create-database uri)
    (let [c (d/connect uri)] @(d/transact c schema) c)))

(defn pipelined "Transacts with up to n in flight; the number of datoms, those of transactions included." [c n txs]
  (loop [open clojure.lang.PersistentQueue/EMPTY left (seq txs) datoms 0]
    (cond
      (and left (< (count open) n)) (recur (conj open (d/transact-async c (first left))) (next left) datoms)
      (seq open) (recur (pop open) left (+ datoms (count (:tx-data @(peek open)))))
      :else datoms)))

(defn graph "A connection with the graph, and the entity of each node." [name attribute]
  (let [c (connection schema) edges (edges name)
        ids (into {} (for [some (partition-all 5000 (distinct (mapcat identity edges)))
                           :let [report @(d/transact c (for [n some] {:db/id n :node n}))]
                           n some]
                       [n (d/resolve-tempid (:db-after report) (:tempids report) n)]))]
    (pipelined c 8 (partition-all 5000 (for [[x y] edges] [:db/add (ids x) attribute (ids y)])))
    [c ids]))

(defn people-connection [] (let [c (connection schema)] (pipelined c 8 (partition-all 1000 @people)) c))

(defn plain-schema "Without full-text indexes, which would cost Datomic time that we do not ask for." [schema]
  (mapv #(dissoc % :db/fulltext) schema))

(defn catalogue-connection [in-flight]
  (let [[schema & files] @catalogue
        c (connection (plain-schema schema))
        txs (mapcat #(partition-all 1000 %) files)
        started (now)
        datoms (pipelined c in-flight txs)]
    [c (/ datoms (/ (- (now) started) 1e3))]))

(defn q [query args] (d/query {:query query :args args :timeout timeout-ms}))

(when (wanted "people20k")
  (run-cases "people20k" (d/db (people-connection)) {} (cases "people20k") q))

(when (wanted "rules")
  (doseq [[name cases] (group-by :data (cases "rules")) :let [[c ids] (graph name :follows)]]
    (run-cases "rules" (d/db c) ids cases q)))

(when (wanted "debian")
  (let [[c ids] (graph "debian" :dep)]
    (run-cases "debian" (d/db c) ids (cases "debian") q)))

(when (wanted "mbrainz")
  (let [db (d/db (first (catalogue-connection 16)))
        [artist pattern] (first (forms "pull.edn"))
        e (d/q '[:find ?a . :in $ ?n :where [?a :artist/name ?n]] db artist)
        releases (d/q '[:find (count ?r) . :in $ ?a :where [?r :release/artists ?a]] db e)]
    (run-cases "mbrainz" db {} (cases "mbrainz") q)
    (measure "mbrainz" "pull" releases #(count (:release/_artists (d/pull db pattern e))))))

(defn tree []
  (let [[c ids] (graph "wide-4x6" :follows)
        db (:db-after @(d/transact c (for [e (vals ids)] [:db/add e :name "Ivan"])))
        e (ids (root (edges "wide-4x6")))
        pull #(d/pull db '[:name {:follows ...}] e)
        nodes (size (pull))]
    (measure "reads" "pull-one(4x6)" 1555 #(do (pull) nodes))))

(when (wanted "reads")
  (let [c (people-connection) db (d/db c) all (mapv :e (d/datoms db :aevt :name)) some (middle all)]
    (measure "reads" "2000 as one pull-many" 2000 #(count (d/pull-many db [:name] some)))
    (measure "reads" "2000 pulls" 2000 #(reduce (fn [n e] (if (:name (d/pull db [:name] e)) (inc n) n)) 0 some))
    (measure "reads" "2000 queries" 2000
             #(reduce (fn [n e] (+ n (count (d/q '[:find ?v :in $ ?e :where [?e :name ?v]] db e)))) 0 some))
    (tree)
    ;; Every age, every second name and every salary becomes another.
    (pipelined c 8 (partition-all 1000 (concat (map-indexed (fn [i e] [:db/add e :age (mod i 100)]) all)
                                               (map (fn [e] [:db/add e :name "Anna"]) (take-nth 2 all))
                                               (map (fn [e] [:db/add e :salary 1]) all))))
    (run-cases "reads" "as-of before changes " (d/as-of (d/db c) (d/basis-t db)) {} (take 5 (cases "people20k")) q)))

(when (wanted "writes")
  (let [facts #(let [db (d/db %)] (reduce + (map (fn [k] (count (seq (d/datoms db :aevt k)))) person-keys)))
        people @people
        database {:open #(connection schema) :facts facts :close d/release}
        all (* 5 (count people))]
    (work "add-all" nil all database (fn [c] @(d/transact c people) c))
    (work "add-5" (count people) all database (fn [c] (pipelined c 100 (map vector people)) c))
    (work "add-1" all all database
          (fn [c]
            (doseq [p people
                    :let [report @(d/transact c [[:db/add "new" :name (:name p)]])
                          e (get (:tempids report) "new")]
                    k (rest person-keys)]
              @(d/transact c [[:db/add e k (k p)]]))
            c)))
  (line "writes" "import" (vec (repeatedly runs #(let [[c rate] (catalogue-connection 16)] (d/release c) rate)))
        "datoms/s"))

(shutdown-agents)
(System/exit 0)
