;; Datomic's peer library, in memory, on the data and queries that `annals-bench export` wrote. Prints lines of figures.
;; usage: clojure.main datomic.clj DIR SUITE...   ($WARM_UP_MS and $BATCH_MS: how long each query is run)
(ns datomic
  (:require [clojure.edn :as edn] [clojure.java.io :as io] [clojure.string :as str] [datomic.api :as d])
  (:import [java.util.concurrent Future]))

(defn env-ms [name default] (Long/parseLong (or (System/getenv name) default)))
(def warm-up-ms (env-ms "WARM_UP_MS" "3000"))
(def batch-ms (env-ms "BATCH_MS" "500"))
(def timeout-ms 60000)
(def runs 5)

(let [[dir & suites] *command-line-args*]
  (def dir dir)
  (def wanted (set suites)))

;; Figures

(defn now [] (/ (System/nanoTime) 1e6))

(defn mean-of-runs "Runs f at least once and until ms have passed; milliseconds a run." [ms f]
  (let [started (now)]
    (loop [n 1]
      (f)
      (let [elapsed (- (now) started)]
        (if (< elapsed ms) (recur (inc n)) (/ elapsed (double n)))))))

(defn plain [x] (format "%.5f" (double x)))

(defn line [suite row figures unit]
  (let [sorted (vec (sort figures))]
    (println (str/join "\t" [suite row "datomic" (plain (nth sorted (quot (count sorted) 2))) (plain (first sorted)) unit]))
    (flush)))

(defn note [suite text] (println (str "# " suite ": " text)) (flush))

(defn measure [suite row rows f]
  (try
    (let [started (now) found (f) first-ms (- (now) started)
          batches (cond (> first-ms 4000) 1 (> first-ms 1000) 4 :else 7)]
      (when (and rows (not= rows found)) (throw (ex-info (str found " rows instead of " rows) {})))
      (when (= batches 7) (mean-of-runs warm-up-ms f))
      (line suite row (vec (repeatedly batches #(mean-of-runs (if (= batches 7) batch-ms 0) f))) "ms"))
    (catch Throwable e
      (note suite (str row " failed: " (.getMessage ^Throwable (last (take-while some? (iterate ex-cause e)))))))))

;; Data

(defn file [name] (io/file dir name))
(defn lines [name] (with-open [r (io/reader (file name))] (mapv #(str/split % #"\t") (line-seq r))))
(defn forms [name]
  (with-open [r (java.io.PushbackReader. (io/reader (file name)))]
    (doall (take-while #(not= ::end %)
                       (repeatedly #(edn/read {:eof ::end :readers {'node (fn [n] {::node n})}} r))))))

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

(def people
  (delay (mapv (fn [[n l s a m]] {:name n :last-name l :sex (keyword s) :age (parse-long a) :salary (parse-long m)})
               (lines "people.tsv"))))

(defn graph "A connection with the graph, and the entity of each node." [name attribute]
  (let [c (connection schema) edges (lines (str name ".graph"))
        ids (into {} (for [some (partition-all 5000 (distinct (mapcat identity edges)))
                           :let [report @(d/transact c (for [n some] {:db/id n :node n}))]
                           n some]
                       [n (d/resolve-tempid (:db-after report) (:tempids report) n)]))]
    (pipelined c 8 (partition-all 5000 (for [[x y] edges] [:db/add (ids x) attribute (ids y)])))
    [c ids]))

(def catalogue (delay (mapv #(forms (str (first %) ".edn")) (lines "catalogue.txt"))))

(defn plain-schema "Without full-text indexes, which would cost Datomic time that we do not ask for." [schema]
  (mapv #(dissoc % :db/fulltext) schema))

(defn catalogue-connection [in-flight]
  (let [[schema & files] @catalogue
        c (connection (plain-schema schema))
        txs (mapcat #(partition-all 1000 %) files)
        started (now)
        datoms (pipelined c in-flight txs)]
    [c (/ datoms (/ (- (now) started) 1e3))]))

;; Suites

(def cases (group-by :suite (forms "queries.edn")))

(defn run-case [suite db ids {:keys [row query args rows]}]
  (let [args (into [db] (map #(if (::node %) (ids (::node %)) %)) args)]
    (measure suite row rows #(count (d/query {:query query :args args :timeout timeout-ms})))))

(defn run-queries [suite db ids cases] (doseq [c cases] (run-case suite db ids c)))

(when (wanted "people20k")
  (let [c (connection schema)]
    (pipelined c 8 (partition-all 1000 @people))
    (run-queries "people20k" (d/db c) {} (cases "people20k"))))

(when (wanted "rules")
  (doseq [[name cases] (group-by :data (cases "rules")) :let [[c ids] (graph name :follows)]]
    (run-queries "rules" (d/db c) ids cases)))

(when (wanted "debian")
  (let [[c ids] (graph "debian" :dep)]
    (run-queries "debian" (d/db c) ids (cases "debian"))))

(when (wanted "mbrainz")
  (let [db (d/db (first (catalogue-connection 16)))
        [artist pattern] (first (forms "pull.edn"))
        e (d/q '[:find ?a . :in $ ?n :where [?a :artist/name ?n]] db artist)
        releases (d/q '[:find (count ?r) . :in $ ?a :where [?r :release/artists ?a]] db e)]
    (run-queries "mbrainz" db {} (cases "mbrainz"))
    (measure "mbrainz" "pull" releases #(count (:release/_artists (d/pull db pattern e))))))

(defn timed [f] (let [started (now)] (f) (- (now) started)))

(defn work "Milliseconds of f on a new connection, several times." [row transactions f]
  (let [times (vec (repeatedly runs #(let [c (connection schema) ms (timed (fn [] (f c)))]
                                       (d/release c) (System/gc) ms)))]
    (line "writes" row times "ms")
    (when transactions (line "writes" (str row "-rate") (map #(/ transactions (/ % 1e3)) times) "tx/s"))))

(when (wanted "writes")
  (let [ks [:name :last-name :sex :age :salary]]
    (work "add-all" nil (fn [c] @(d/transact c @people)))
    (work "add-5" (count @people) (fn [c] (pipelined c 100 (map vector @people))))
    (work "add-1" (* 5 (count @people))
          (fn [c]
            (doseq [p @people
                    :let [report @(d/transact c [[:db/add "new" :name (:name p)]])
                          e (get (:tempids report) "new")]
                    k (rest ks)]
              @(d/transact c [[:db/add e k (k p)]])))))
  (line "writes" "import" (vec (repeatedly runs #(let [[c rate] (catalogue-connection 16)] (d/release c) rate)))
        "datoms/s"))

(shutdown-agents)
(System/exit 0)
