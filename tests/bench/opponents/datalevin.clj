;; Datalevin, in this process, its files in $SCRATCH. usage: clojure.main datalevin.clj DIR SUITE...; see common.clj
(load-file (str (.getParent (java.io.File. ^String *file*)) "/common.clj"))
(ns datalevin
  (:require [common :refer [cases catalogue edges forms line measure middle now people person-keys root run-cases
                            runs size wanted work]]
            [datalevin.core :as d]
            [datalevin.query :as query]))

(def folder (System/getenv "SCRATCH"))

(defn attribute [type & {:keys [many]}]
  (cond-> {:db/valueType (keyword "db.type" type)} many (assoc :db/cardinality :db.cardinality/many)))

(def schema
  {:name (attribute "string") :last-name (attribute "string") :sex (attribute "keyword") :age (attribute "long")
   :salary (attribute "long") :node (attribute "string") :follows (attribute "ref" :many true)
   :dep (attribute "ref" :many true)})

(defn database "An empty one whose writes are not synced." [schema]
  (d/empty-db (str folder "/" (random-uuid)) schema {:kv-opts {:flags #{:nordahead :writemap :nosync}}}))

(defn graph "A database with the graph, and the entity of each node." [name attribute]
  (let [edges (edges name) ids (zipmap (distinct (mapcat identity edges)) (rest (range)))]
    [(reduce d/db-with (database schema)
             (partition-all 5000 (for [[x y] edges] [:db/add (ids x) attribute (ids y)])))
     ids]))

(defn people-database [] (reduce d/db-with (database schema) (partition-all 1000 @people)))

;; The catalogue's schema in Datalevin's form, and keywords in the place of references as lookups.

(defn catalogue-schema [attributes]
  (into {:db/ident {:db/unique :db.unique/identity :db/valueType :db.type/keyword}}
        (for [{:db/keys [ident valueType cardinality unique]} attributes]
          [ident (cond-> {:db/valueType valueType}
                   (= :db.cardinality/many cardinality) (assoc :db/cardinality cardinality)
                   unique (assoc :db/unique :db.unique/identity))])))

(defn catalogue-batches []
  (let [[attributes & files] @catalogue
        refs (set (for [a attributes :when (= :db.type/ref (:db/valueType a))] (:db/ident a)))
        plain (fn [m] (reduce-kv (fn [m k v] (assoc m k (if (and (refs k) (keyword? v)) [:db/ident v] v))) {} m))]
    (doall (mapcat #(partition-all 1000 (map plain %)) files))))

(defn catalogue-database [batches] (reduce d/db-with (database (catalogue-schema (first @catalogue))) batches))

(defn q [query args] (apply d/q query args))

;; Plans are kept, results are not.
(alter-var-root #'query/*cache?* (constantly false))

(when (wanted "people20k")
  (run-cases "people20k" (people-database) {} (cases "people20k") q))

(when (wanted "rules")
  (doseq [[name cases] (group-by :data (cases "rules")) :let [[db ids] (graph name :follows)]]
    (run-cases "rules" db ids cases q)))

(when (wanted "debian")
  (let [[db ids] (graph "debian" :dep)]
    (run-cases "debian" db ids (cases "debian") q)))

(when (wanted "mbrainz")
  (let [db (catalogue-database (catalogue-batches))
        [artist pattern] (first (forms "pull.edn"))
        e (d/q '[:find ?a . :in $ ?n :where [?a :artist/name ?n]] db artist)
        releases (d/q '[:find (count ?r) . :in $ ?a :where [?r :release/artists ?a]] db e)]
    (run-cases "mbrainz" db {} (cases "mbrainz") q)
    (measure "mbrainz" "pull" releases #(count (:release/_artists (d/pull db pattern e))))))

(defn tree []
  (let [[db ids] (graph "wide-4x6" :follows)
        db (d/db-with db (for [e (vals ids)] [:db/add e :name "Ivan"]))
        e (ids (root (edges "wide-4x6")))
        pull #(d/pull db '[:name {:follows ...}] e)
        nodes (size (pull))]
    (measure "reads" "pull-one(4x6)" 1555 #(do (pull) nodes))))

(when (wanted "reads")
  (let [db (people-database) some (middle (mapv :e (d/datoms db :ave :name)))]
    (measure "reads" "2000 as one pull-many" 2000 #(count (d/pull-many db [:name] some)))
    (measure "reads" "2000 pulls" 2000 #(reduce (fn [n e] (if (:name (d/pull db [:name] e)) (inc n) n)) 0 some))
    (measure "reads" "2000 queries" 2000
             #(reduce (fn [n e] (+ n (count (d/q '[:find ?v :in $ ?e :where [?e :name ?v]] db e)))) 0 some))
    (tree)))

(when (wanted "writes")
  (let [opened {:open #(database schema) :facts #(count (d/datoms % :eav)) :close d/close-db}
        people (map-indexed (fn [i p] (assoc p :db/id (inc i))) @people)
        all (* 5 (count people))
        batches (catalogue-batches)]
    (work "add-all" nil all opened #(d/db-with % people))
    (work "add-5" (count people) all opened #(reduce d/db-with % (map vector people)))
    (work "add-1" all all opened
          #(reduce d/db-with % (for [p people k person-keys] [[:db/add (:db/id p) k (k p)]])))
    (line "writes" "import"
          (vec (repeatedly (min runs 2)
                           #(let [started (now) db (catalogue-database batches) seconds (/ (- (now) started) 1e3)
                                  rate (/ (count (d/datoms db :eav)) seconds)]
                              (d/close-db db)
                              rate)))
          "datoms/s")))

(shutdown-agents)
(System/exit 0)
